"""The schema of a recipe: every parameter that decides a result, with its type, unit and bounds.

A recipe is one YAML file (params.yaml is the one in force, recipes/ holds ready ones). It is always complete: a missing
key is an error as much as an unknown one, so that two recipes can be compared line by line.
"""

import difflib
import math
import re
import reprlib
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from effnet.arch.family import VARIANTS
from effnet.arch.layers import layers
from effnet.errors import InputError

Interpolation = Literal["linear", "bilinear", "bicubic"]
Share = Annotated[float, Field(ge=0, le=1)]
MOST = 1_000_000  # of anything that is counted: what is more is a slip of the pen, and takes all memory
Count = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[int, Field(ge=1, le=MOST)]
AmpLevel = Literal["O0", "O2", "O3"]
Threads = Annotated[int, Field(ge=0, le=1024)]
NotNegative = Annotated[float, Field(ge=0)]
Pixels = Annotated[int, Field(ge=16, le=2048)]
Deviation = Annotated[float, Field(gt=0)]
Ratio = Annotated[float, Field(ge=0.01, le=100)]
Area = Annotated[float, Field(ge=0.0001, le=1)]
# of keys that say where or how fast the work is done, or what is kept: no output's bytes depend on them
NO_BYTE = {"decides": False}
# policies.py takes a name apart; timm's parts come in any order, each once, and m always
AUTO_AUGMENT = re.compile(
    r"|imagenet|policy_v0|original|"
    r"rand(?=.*-m\d)(?!.*-([a-z]+)\d.*-\1\d)"
    r"(-(m([0-9]|10)|mstd\d{1,3}(\.\d+)?|inc[01]|p(0(\.\d+)?|1(\.0+)?)|n([1-9]|1[0-6])))+"
)
GONE = {"export.formats": "ONNX and MINDIR are always written; take the line out (AIR: `make air`)"}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def no_truth_for_a_number(cls, tree):
        """Python counts True as 1; a recipe that says `epoch_size: true` means something else."""
        for key, field in cls.model_fields.items():
            if isinstance(tree, dict) and isinstance(tree.get(key), bool) and field.annotation is not bool:
                raise ValueError(f"{key}: true and false are no value here; write a number or text")
        return tree


class Model(Section):
    """The network."""

    variant: str = Field(description="row of the variant table in effnet/arch/family.py, e.g. efficientnet_b2")
    class_num: int = Field(ge=0, le=100_000, description="number of classes; 0: as many as the data has")
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
    bn_eps: Deviation = Field(description="added to batch normalisation's variance: TensorFlow's 1e-3, PyTorch's 1e-5")
    initial: Literal["fan_out", "normal"] = Field(
        description="initial kernels: by their fan-out as tensorflow/tpu, or N(0, 0.01), MindSpore's default up to 2.0"
    )
    padding: Literal["same", "symmetric"] = Field(
        description="padding of strided convolutions: TensorFlow's SAME or PyTorch's symmetric k//2"
    )
    pretrained: str = Field(
        description="name in effnet/weights/table.yaml or path of the weights to start from; empty: random"
    )


class Data(Section):
    """Where pictures come from and how they are fed."""

    source: Literal["digits", "fashion", "folder", "imagenet", "flowers", "imagenette"] = Field(
        description="kind of data set"
    )
    root: str = Field(json_schema_extra=NO_BYTE, description="folder with the source's files; unused by digits")
    shards: Positive = Field(description="number of training shards to write")
    shorter_side: Count = Field(
        description="re-encode pictures to this shorter side, pixels; 0 keeps the original JPEG bytes"
    )
    subset: bool = Field(
        description="imagenet: whether some classes and fewer pictures than the devkit counts are accepted"
    )
    bad_images: Literal["stop", "skip"] = Field(description="what an unreadable picture does to `prepare`")
    batch_size: Positive = Field(description="images per optimizer update over all devices together")
    workers: Threads = Field(
        json_schema_extra=NO_BYTE, description="decoding threads per device; 0: its part of the cores"
    )


class Augment(Section):
    """Training pre-processing, a pure function of (seed, epoch, sample); and the normalisation, evaluation's too."""

    crop_scale: tuple[Area, Area] = Field(
        description="share of the picture's area that a random crop covers, least and most; "
        "[1, 1] with ratio [1, 1]: no crop"
    )
    crop_ratio: tuple[Ratio, Ratio] = Field(description="aspect ratio of the random crop, least and most")
    interpolation: Literal["linear", "bilinear", "bicubic", "random"] = Field(
        description="resampling of the crop to image_size, antialiased as in Pillow but for linear, which is bilinear "
        "of the nearest four pixels as in OpenCV; random: bilinear or bicubic by chance, as timm"
    )
    hflip: Share = Field(description="chance of a horizontal flip")
    auto_augment: str = Field(
        description="'' none; 'imagenet' the AutoAugment paper's policy, 'original' the same as the MindSpore model "
        "zoo ran it, 'policy_v0' tensorflow/tpu's; 'rand-mM' timm's RandAugment of magnitude M, 0 to 10, with -mstdS "
        "for M's deviation (0; above 100: uniform from 0 to M), -inc1 for its increasing operations (0), -pP for the "
        "chance of each (0.5) and -nN for their number (2), e.g. 'rand-m9-mstd0.5'"
    )
    color_jitter: tuple[NotNegative, NotNegative, NotNegative] = Field(
        description="brightness, contrast, saturation: each factor uniform in 1 +- value; 0 is off"
    )
    jitter_order: Literal["fixed", "random"] = Field(
        description="whether color_jitter's three come in this order or in any"
    )
    random_erasing: Share = Field(description="chance that a rectangle is erased")
    mixup: NotNegative = Field(description="alpha of mixup's Beta(alpha, alpha); 0 is off")
    cutmix: NotNegative = Field(
        description="alpha of cutmix's Beta(alpha, alpha); 0 is off; "
        "with mixup on, each batch pair takes one of the two by chance"
    )
    mean: tuple[float, float, float] = Field(description="subtracted per channel, in units of 0..255")
    std: tuple[Deviation, Deviation, Deviation] = Field(description="divided by per channel, in units of 0..255")


class Train(Section):
    """Optimisation."""

    device_target: Literal["CPU", "GPU", "Ascend"] = Field(description="where to train")
    device_num: Positive = Field(description="devices, one process each")
    threads: Threads = Field(
        description="threads of MindSpore's operators on a CPU, in training and evaluation: like the batch size, their "
        "number decides the last digits; 0: as many as cores, and another machine gives other bytes"
    )
    epoch_size: Count = Field(
        description="epochs; 0: freeze_epochs and 7 sqrt(1000 / training pictures) more, from 3 to 12, no more than "
        "three tenths of them warm-up"
    )
    opt: Literal["rmsprop", "sgd", "adamw"] = Field(description="optimizer; sgd is Nesterov's")
    opt_eps: float = Field(gt=0, description="added inside RMSProp's square root, outside AdamW's")
    rms_decay: float = Field(ge=0, lt=1, description="RMSProp's decay of the mean square; AdamW's beta 2")
    momentum: float = Field(ge=0, lt=1, description="momentum; AdamW's beta 1")
    weight_decay: NotNegative = Field(
        description="L2 term (decoupled with adamw) on all weights but batch normalisation's scale and shift, and but "
        "biases where decay_biases says so"
    )
    decay_biases: bool = Field(description="whether weight_decay acts on biases: tensorflow/tpu's does, timm's not")
    clip_norm: NotNegative = Field(description="largest global norm of the gradient; 0 is off")
    accumulate: Positive = Field(description="micro-batches per update; batch_size is what one update sees")
    ema_decay: float = Field(
        ge=0, lt=1, description="exponential moving average of weights, used for evaluation; 0 is off"
    )
    ema_warmup: Literal["none", "tensorflow", "timm"] = Field(
        description="how ema_decay is reached by update n, from 0: none: at once; tensorflow: not above (1 + n) / "
        "(10 + n); timm: not above 1 - (1 + n)^(-2/3)"
    )
    sync_bn: bool = Field(description="batch statistics over all devices")
    label_smooth_factor: float = Field(ge=0, lt=1, description="share of the target spread over all classes")
    amp_level: AmpLevel = Field(description="O0 float32; O2 float16 with float32 batch normalisation; O3 all float16")
    tf32: bool = Field(
        description="whether float32 products may be rounded to ten bits of mantissa where the device can do so: TF32 "
        "of NVIDIA, HF32 of Ascend; in evaluation too"
    )
    deterministic: bool = Field(
        description="whether the device keeps to operators that add in a fixed order; false: other bytes each run"
    )
    loss_scale: float = Field(ge=0, description="fixed loss scale; 0: dynamic")
    lr_decay_mode: Literal["linear", "cosine", "poly", "steps", "exponential"] = Field(
        description="decay after warm-up"
    )
    lr_init: NotNegative = Field(description="learning rate at the first step of warm-up")
    lr_max: float = Field(gt=0, description="learning rate at the end of warm-up")
    lr_trunk: float = Field(
        ge=0, le=1, description="learning rate of all but the classifier, as a share of the classifier's"
    )
    lr_end: NotNegative = Field(description="learning rate at the end (floor of steps and exponential)")
    lr_decay_rate: float = Field(gt=0, description="factor of steps and exponential, power of poly")
    lr_decay_epochs: float = Field(gt=0, description="epochs between two decays of steps and exponential")
    warmup_epochs: NotNegative = Field(description="epochs of linear warm-up, after the frozen ones")
    freeze_epochs: Count = Field(description="first epochs that train the classifier only")
    freeze_bn: bool = Field(description="batch normalisation keeps its running statistics, as in evaluation")
    holdout: float = Field(
        ge=0,
        lt=1,
        description="share of the training pictures, of each class alike, held out to choose the frozen epochs' "
        "regularisation and the model's epoch (the last that is within a standard error of the best, and not worse "
        "than the frozen start); 0: none, the model is the last epoch's",
    )
    seed: int = Field(ge=0, lt=2**63, description="seed of initial weights, order, augmentation, dropout")
    save_checkpoint_epochs: Positive = Field(
        json_schema_extra=NO_BYTE, description="epochs between two checkpoints to resume from"
    )
    save_checkpoint_steps: Count = Field(json_schema_extra=NO_BYTE, description="also every so many steps; 0: off")
    keep_checkpoint_max: Positive = Field(json_schema_extra=NO_BYTE, description="newest checkpoints kept")


class Evaluate(Section):
    """Evaluation pre-processing and batch. Changing it evaluates again and trains nothing."""

    resize: Pixels = Field(description="shorter side after resizing, pixels")
    crop: Pixels = Field(description="side of the centre crop, pixels")
    interpolation: Interpolation = Field(
        description="resampling, antialiased as in Pillow but for linear (see augment.interpolation)"
    )
    batch_size: Positive = Field(description="images per step")
    amp_level: AmpLevel = Field(description="precision, as train.amp_level; O2 for devices without float32 convolution")

    def preprocessing(self):
        """What of it a model carries with it."""
        return {"resize": self.resize, "crop": self.crop, "interpolation": self.interpolation}


class Validation(Evaluate):
    """The same for the validation after each training epoch, and what the checkpoint says of its pre-processing."""


class Export(Section):
    """What leaves for deployment."""

    opset: int = Field(ge=13, le=23, description="ONNX operator set")
    height: Count = Field(description="input height, pixels; 0: evaluate.crop, and what evaluates it takes no other")
    width: Count = Field(description="input width, pixels; likewise")
    normalize: Literal["outside", "inside"] = Field(
        description="outside: float NCHW, normalised; inside: uint8 NHWC straight from a decoder"
    )
    quantize: tuple[Literal["float16", "int8"], ...] = Field(description="further ONNX files to write")
    calibration_images: Positive = Field(description="training pictures that calibrate int8")


class Onnx(Section):
    """Evaluation of the exported model in ONNX Runtime, and in OpenVINO."""

    provider: Literal["CPU", "CUDA", "TensorRT", "CANN"] = Field(
        description="execution provider; absent is an error, never another one"
    )
    tf32: bool = Field(description="whether CUDA and TensorRT may round float32 products to ten bits of mantissa")
    batch_size: Positive = Field(description="images per run")
    threads: Threads = Field(description="threads of ONNX Runtime, OpenVINO and the C++ program; 0: as many as cores")
    openvino: tuple[Literal["float32", "bfloat16", "int8"], ...] = Field(
        description="precisions to evaluate in OpenVINO too; one that this processor does not have is an error"
    )
    infer310: bool = Field(description="whether to evaluate in the C++ program too, which needs MindSpore Lite")


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
        share, last = self.data.batch_size // parts, layers(self.model.variant, self.model.image_size)[-2]
        if share * last.output[1] ** 2 < 2 and not self.train.freeze_bn:
            raise ValueError(
                f"data.batch_size: a device's share, {share} pictures of {self.model.image_size} pixels, leaves batch "
                "normalisation one value a channel, which has no variance; take a larger batch or larger pictures"
            )
        for name in ("validation", "evaluate"):
            crop, resize = getattr(self, name).crop, getattr(self, name).resize
            if crop > resize:
                raise ValueError(f"{name}.crop: {crop} is larger than {name}.resize = {resize}")
        for name in ("height", "width"):
            side = getattr(self.export, name)
            if side not in (0, self.evaluate.crop):
                raise ValueError(
                    f"export.{name}: {side} is not evaluate.crop = {self.evaluate.crop}, so the pipeline could not "
                    "evaluate what it exports; write 0, and the size into evaluate.crop"
                )
        if not AUTO_AUGMENT.fullmatch(self.augment.auto_augment):
            raise ValueError(
                f"augment.auto_augment: '{self.augment.auto_augment}' is not '', 'imagenet', 'policy_v0', 'original' "
                "or 'rand-mM' with any of -mstdS, -inc1, -pP and -nN behind it (M from 0 to 10, P from 0 to 1, N from "
                "1 to 16), e.g. 'rand-m9-mstd0.5'"
            )
        if "int8" in self.onnx.openvino and "int8" not in self.export.quantize:
            raise ValueError("onnx.openvino: int8 asked for, of which export.quantize writes no file; add it there")
        if self.model.class_num == 1:
            raise ValueError("model.class_num: 1; two classes at least, or 0: as many as the data has")
        epochs, frozen, warmup = self.train.epoch_size, self.train.freeze_epochs, self.train.warmup_epochs
        if epochs and frozen > epochs:
            raise ValueError(f"train.freeze_epochs: {frozen} is more than train.epoch_size = {epochs}")
        if epochs and warmup > epochs - frozen:
            rest = (
                f"train.epoch_size - train.freeze_epochs = {epochs - frozen}"
                if frozen
                else f"train.epoch_size = {epochs}"
            )
            raise ValueError(f"train.warmup_epochs: {warmup} is more than {rest}")
        for name in ("crop_scale", "crop_ratio"):
            least, most = getattr(self.augment, name)
            if least > most:
                raise ValueError(f"augment.{name}: the first number, {least}, is above the second, {most}")
        return self


def _check_shape(path, text):
    """Before anything is built of it: a few lines of aliases hold millions, and depth is the parser's recursion."""
    depth = 0
    for event in yaml.parse(text):
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{path}: aliases (*name) are not read in a recipe; write their values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > 10:
            raise InputError(f"{path}: nested too deeply for a recipe, which has sections and keys")


def load(path="params.yaml"):
    """Read and check a recipe. Raises InputError naming file, line, key and what to write instead."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such recipe; `make use RECIPE=digits` puts one in force")
    try:
        text = path.read_text("utf-8")
        _check_shape(path, text)
        tree = yaml.safe_load(text)
        lines = _key_lines(path, yaml.compose(text))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except yaml.YAMLError as error:
        said = " ".join(str(error).replace('in "<unicode string>", ', "in ").split())
        raise InputError(f"{path}: not valid YAML: {said}") from None
    except (ValueError, OverflowError) as error:  # of a number or date that YAML knows and Python does not
        raise InputError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected the sections {', '.join(Recipe.model_fields)}")
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise InputError("; ".join(_sentence(path, lines, e) for e in error.errors()[:3])) from None


def fitted(recipe, classes, pictures):
    """The recipe with its zeros filled in for a set of so many classes and training pictures: class_num and epoch_size.

    The epochs fall with the root of the number of pictures: 12 of up to 370 pictures, 3 of 4,000 and more.
    """
    model, train = recipe.model, recipe.train
    if not train.epoch_size:
        epochs = round(min(12, max(3, 7 * math.sqrt(1000 / pictures))))
        warmup = min(train.warmup_epochs, 0.3 * epochs)
        train = train.model_copy(update={"epoch_size": train.freeze_epochs + epochs, "warmup_epochs": warmup})
    model = model.model_copy(update={"class_num": model.class_num or classes})
    return recipe.model_copy(update={"model": model, "train": train})


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
    if error["type"] == "value_error":  # raised by our own validators, which name the key first
        message = "".join(f"{name}." for name in keys) + str(error["ctx"]["error"])
        key = message.split(":")[0]
        return f"{path}:{lines[key]}: {message}" if key in lines else f"{path}: {message}"
    if key in GONE:
        return f"{place}: '{key}' is no key any more: {GONE[key]}"
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key '{key}'" + _nearest(keys[-1], _known(keys[:-1]))
    if error["type"] == "missing":
        return f"{place}: key '{key}' is missing; add it (see docs/recipe.md)"
    return f"{place}: {key}: {error['msg'][0].lower() + error['msg'][1:]}, found {reprlib.repr(error['input'])}"


def _known(section):
    model = Recipe
    for name in section:
        model = model.model_fields[name].annotation
    return list(model.model_fields)


def _nearest(word, known):
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def _key_lines(path, node, prefix=""):
    """Line (from 1) of every dotted key, and of every item of a list.

    Raises InputError for a key that is there twice.
    """
    lines, pairs = {}, []
    if isinstance(node, yaml.MappingNode):
        pairs = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(n, item, item) for n, item in enumerate(node.value)]
    for key, place, value in pairs:
        name = f"{prefix}{key}"
        if name in lines:
            raise InputError(
                f"{path}:{place.start_mark.line + 1}: key '{name}' is there already, in line {lines[name]}; keep one"
            )
        lines[name] = place.start_mark.line + 1
        lines |= _key_lines(path, value, f"{name}.")
    return lines
