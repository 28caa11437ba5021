"""The schema of a recipe: every parameter that decides a result, with its type, unit and bounds.

A recipe is one YAML file (params.yaml is the one in force, recipes/ holds ready ones). It is always complete: a missing
key is an error as much as an unknown one, so that two recipes can be compared line by line.
"""

import difflib
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from effnet.arch.family import VARIANTS
from effnet.errors import InputError

Interpolation = Literal["bilinear", "bicubic"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
Pixels = Annotated[int, Field(ge=16, le=2048)]
RGB = tuple[float, float, float]
Span = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
# of keys that say where or how fast the work is done, or what is kept: no output's bytes depend on them
NO_BYTE = {"decides": False}
GONE = {"export.formats": "ONNX and MINDIR are always written; take the line out (AIR: `make air`)"}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(Section):
    """The network."""

    variant: str = Field(description="row of the variant table in effnet/arch/family.py, e.g. efficientnet_b2")
    class_num: int = Field(ge=2, le=100_000, description="number of classes")
    image_size: Pixels = Field(description="side of the square training image, pixels")
    dropout: float = Field(ge=0, lt=1, description="share of features dropped before the classifier")
    drop_connect: float = Field(
        ge=0,
        lt=1,
        description="chance to skip the last block's residual branch; earlier blocks less, linearly; 0 is off",
    )
    bn_momentum: float = Field(
        ge=0, lt=1, description="share of the old value kept by batch normalisation's running statistics at a step"
    )
    padding: Literal["same", "symmetric"] = Field(
        description="padding of strided convolutions: TensorFlow's SAME or PyTorch's symmetric k//2"
    )
    pretrained: str = Field(
        description="name in effnet/weights/table.yaml or path of the weights to start from; empty: random"
    )


class Data(Section):
    """Where pictures come from and how they are fed."""

    source: Literal["digits", "folder", "imagenet", "flowers", "imagenette"] = Field(description="kind of data set")
    root: str = Field(description="folder with the source's files; unused by digits")
    shards: Positive = Field(description="number of training shards to write")
    shorter_side: Count = Field(
        description="re-encode pictures to this shorter side, pixels; 0 keeps the original JPEG bytes"
    )
    bad_images: Literal["stop", "skip"] = Field(description="what an unreadable picture does to `prepare`")
    batch_size: Positive = Field(description="images per optimizer update over all devices together")
    workers: Count = Field(json_schema_extra=NO_BYTE, description="decoding threads per device; 0: as many as cores.")


class Augment(Section):
    """Training pre-processing, a pure function of (seed, epoch, sample); and the normalisation, evaluation's too."""

    crop_scale: Span = Field(
        description="share of the picture's area that a random crop covers, least and most; "
        "[1, 1] with ratio [1, 1]: no crop"
    )
    crop_ratio: Span = Field(description="aspect ratio of the random crop, least and most")
    interpolation: Interpolation = Field(description="resampling of the crop to image_size")
    hflip: Share = Field(description="chance of a horizontal flip")
    auto_augment: str = Field(
        description="'' none, 'imagenet' the AutoAugment paper's policy, "
        "'rand-mM-nN' RandAugment of magnitude M, N operations"
    )
    color_jitter: RGB = Field(
        description="brightness, contrast, saturation: each factor uniform in 1 +- value; 0 is off"
    )
    random_erasing: Share = Field(description="chance that a rectangle is erased")
    mixup: NotNegative = Field(description="alpha of mixup's Beta(alpha, alpha); 0 is off")
    cutmix: NotNegative = Field(
        description="alpha of cutmix's Beta(alpha, alpha); 0 is off; "
        "with mixup on, each batch pair takes one of the two by chance"
    )
    mean: RGB = Field(description="subtracted per channel, in units of 0..255")
    std: RGB = Field(description="divided by per channel, in units of 0..255")


class Train(Section):
    """Optimisation."""

    device_target: Literal["CPU", "GPU", "Ascend"] = Field(description="where to train")
    device_num: Positive = Field(description="devices, one process each")
    threads: Count = Field(
        description="threads of MindSpore's operators on a CPU, in training and evaluation: like the batch size, their "
        "number decides the last digits; 0: as many as cores, and another machine gives other bytes"
    )
    epoch_size: Positive = Field(description="epochs")
    opt: Literal["rmsprop", "sgd", "adamw"] = Field(description="optimizer; sgd is Nesterov's")
    opt_eps: float = Field(gt=0, description="added inside RMSProp's square root, outside AdamW's")
    rms_decay: float = Field(ge=0, lt=1, description="RMSProp's decay of the mean square; AdamW's beta 2")
    momentum: float = Field(ge=0, lt=1, description="momentum; AdamW's beta 1")
    weight_decay: NotNegative = Field(
        description="L2 term on all weights but batch normalisation's scale and shift (decoupled with adamw)"
    )
    clip_norm: NotNegative = Field(description="largest global norm of the gradient; 0 is off")
    accumulate: Positive = Field(description="micro-batches per update; batch_size is what one update sees")
    ema_decay: float = Field(
        ge=0, lt=1, description="exponential moving average of weights, used for evaluation; 0 is off"
    )
    sync_bn: bool = Field(description="batch statistics over all devices")
    label_smooth_factor: float = Field(ge=0, lt=1, description="share of the target spread over all classes")
    amp_level: Literal["O0", "O2", "O3"] = Field(
        description="O0 float32; O2 float16 with float32 batch normalisation; O3 all float16"
    )
    loss_scale: float = Field(ge=0, description="fixed loss scale; 0: dynamic")
    lr_decay_mode: Literal["linear", "cosine", "poly", "steps", "exponential"] = Field(
        description="decay after warm-up"
    )
    lr_init: NotNegative = Field(description="learning rate at the first step of warm-up")
    lr_max: float = Field(gt=0, description="learning rate at the end of warm-up")
    lr_end: NotNegative = Field(description="learning rate at the end (floor of steps and exponential)")
    lr_decay_rate: float = Field(gt=0, description="factor of steps and exponential, power of poly")
    lr_decay_epochs: float = Field(gt=0, description="epochs between two decays of steps and exponential")
    warmup_epochs: NotNegative = Field(description="epochs of linear warm-up")
    freeze_epochs: Count = Field(description="first epochs that train the classifier only")
    seed: Count = Field(description="seed of initial weights, order, augmentation, dropout")
    save_checkpoint_epochs: Positive = Field(
        json_schema_extra=NO_BYTE, description="epochs between two checkpoints to resume from"
    )
    save_checkpoint_steps: Count = Field(json_schema_extra=NO_BYTE, description="also every so many steps; 0: off")
    keep_checkpoint_max: Positive = Field(json_schema_extra=NO_BYTE, description="newest checkpoints kept")


class Evaluate(Section):
    """Evaluation pre-processing and batch. Changing it evaluates again and trains nothing."""

    resize: Pixels = Field(description="shorter side after resizing, pixels")
    crop: Pixels = Field(description="side of the centre crop, pixels")
    interpolation: Interpolation = Field(description="resampling, antialiased as in Pillow")
    batch_size: Positive = Field(description="images per step")

    def preprocessing(self):
        """What of it a model carries with it."""
        return {"resize": self.resize, "crop": self.crop, "interpolation": self.interpolation}


class Validation(Evaluate):
    """The same for the validation after each training epoch, and what the checkpoint says of its pre-processing."""


class Export(Section):
    """What leaves for deployment."""

    opset: int = Field(ge=13, le=23, description="ONNX operator set")
    height: Count = Field(description="input height, pixels; 0: evaluate.crop")
    width: Count = Field(description="input width, pixels; 0: evaluate.crop")
    normalize: Literal["outside", "inside"] = Field(
        description="outside: float NCHW, normalised; inside: uint8 NHWC straight from a decoder"
    )
    quantize: tuple[Literal["float16", "int8"], ...] = Field(description="further ONNX files to write")
    calibration_images: Positive = Field(description="training pictures that calibrate int8")


class Onnx(Section):
    """Evaluation of the exported model in ONNX Runtime."""

    provider: Literal["CPU", "CUDA", "TensorRT", "CANN"] = Field(
        description="execution provider; absent is an error, never another one"
    )
    batch_size: Positive = Field(description="images per run")
    threads: Count = Field(description="threads of ONNX Runtime and of the C++ program; 0: as many as cores")


class Recipe(Section):
    """One complete experiment."""

    model: Model
    data: Data
    augment: Augment
    train: Train
    validation: Validation
    evaluate: Evaluate
    export: Export
    onnx: Onnx

    @model_validator(mode="after")
    def fits_together(self):
        if self.model.variant not in VARIANTS:
            raise ValueError(
                f"model.variant: '{self.model.variant}' is not one of {', '.join(VARIANTS)}"
                + _nearest(self.model.variant, VARIANTS)
            )
        parts = self.train.device_num * self.train.accumulate
        if self.data.batch_size % parts:
            raise ValueError(
                f"data.batch_size: {self.data.batch_size} is not divisible by "
                f"train.device_num x train.accumulate = {parts}"
            )
        for name in ("validation", "evaluate"):
            crop, resize = getattr(self, name).crop, getattr(self, name).resize
            if crop > resize:
                raise ValueError(f"{name}.crop: {crop} is larger than {name}.resize = {resize}")
        if self.train.warmup_epochs > self.train.epoch_size:
            raise ValueError(
                f"train.warmup_epochs: {self.train.warmup_epochs} is more than "
                f"train.epoch_size = {self.train.epoch_size}"
            )
        for name in ("crop_scale", "crop_ratio"):
            least, most = getattr(self.augment, name)
            if least > most:
                raise ValueError(f"augment.{name}: the first number, {least}, is above the second, {most}")
        return self


def load(path="params.yaml"):
    """Read and check a recipe. Raises InputError naming file, line, key and what to write instead."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such recipe; `make use RECIPE=digits` puts one in force")
    text = path.read_text()
    try:
        tree = yaml.safe_load(text)
        lines = _key_lines(yaml.compose(text))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected the sections {', '.join(Recipe.model_fields)}")
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise InputError("; ".join(_sentence(path, lines, e) for e in error.errors()[:3])) from None


def training_values(recipe):
    """`{"section.key": value}` of all that decides what a training ends with, in terms that JSON can hold.

    Of the data only the batch: pictures speak for themselves by the prepared set's own digest.
    """
    found = {"data.batch_size": recipe.data.batch_size}
    for name in ("model", "augment", "train", "validation"):
        section = getattr(recipe, name)
        for key, field in type(section).model_fields.items():
            if field.json_schema_extra != NO_BYTE:
                value = getattr(section, key)
                found[f"{name}.{key}"] = list(value) if isinstance(value, tuple) else value
    return found


def _sentence(path, lines, error):
    keys = [str(k) for k in error["loc"]]
    key = ".".join(keys)
    place = f"{path}:{lines[key]}" if key in lines else str(path)
    if error["type"] == "value_error":  # raised by fits_together, which names its key first
        message = str(error["ctx"]["error"])
        key = message.split(":")[0]
        return f"{path}:{lines[key]}: {message}" if key in lines else f"{path}: {message}"
    if key in GONE:
        return f"{place}: '{key}' is no key any more: {GONE[key]}"
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key '{key}'" + _nearest(keys[-1], _known(keys[:-1]))
    if error["type"] == "missing":
        return f"{place}: key '{key}' is missing; add it (see docs/recipe.md)"
    return f"{place}: {key}: {error['msg'][0].lower() + error['msg'][1:]}, found {error['input']!r}"


def _known(section):
    model = Recipe
    for name in section:
        model = model.model_fields[name].annotation
    return list(model.model_fields)


def _nearest(word, known):
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def _key_lines(node, prefix=""):
    """Line (from 1) of every dotted key."""
    lines = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            lines[name] = key.start_mark.line + 1
            lines |= _key_lines(value, f"{name}.")
    return lines
