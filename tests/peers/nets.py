"""Other people's EfficientNets with random weights and statistics, as `(net, f(float32 NCHW pictures, training) ->
logits)`.
"""

import numpy as np


def torch_net(library, variant, image_size, eps=None, class_num=1000, seed=0):
    """A network of 'efficientnet_pytorch', 'torchvision', 'timm' or 'timm_tf' (SAME padding) without dropout and drop
    connect.

    `eps` replaces batch normalisation's epsilon: with statistics of the batch, weights cannot make up for another one.
    """
    import torch

    torch.manual_seed(seed)
    if library == "efficientnet_pytorch":
        from efficientnet_pytorch import EfficientNet

        quiet = {"dropout_rate": 0.0, "drop_connect_rate": 0.0}
        net = EfficientNet.from_name(variant.replace("_", "-"), image_size=image_size, num_classes=class_num, **quiet)
    elif library == "torchvision":
        net = getattr(_torchvision().models, variant)(dropout=0.0, stochastic_depth_prob=0.0, num_classes=class_num)
    else:
        _torchvision()
        import timm

        net = timm.create_model(
            ("tf_" if library == "timm_tf" else "") + variant, drop_rate=0.0, drop_path_rate=0.0, num_classes=class_num
        )
    generator = torch.Generator().manual_seed(seed + 1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # fresh statistics would hide that they are swapped
            module.eps = eps or module.eps
            for value, low, high in ((module.weight.data, 0.8, 1.2), (module.bias.data, -0.2, 0.2),
                                     (module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 1.5)):  # fmt: skip
                value.uniform_(low, high, generator=generator)

    def forward(pictures, training=False):
        with torch.no_grad():
            return net.train(training)(torch.from_numpy(pictures)).numpy()

    return net, forward


def tensors_of(net):
    """Its state dict as NumPy arrays."""
    return {name: value.numpy().copy() for name, value in net.state_dict().items()}


def put(net, library, variant, weights):
    """Give the network `weights`, which are under our names."""
    import torch

    from effnet.weights.convert import theirs

    names = theirs(variant, library.removesuffix("_tf"))
    state = {
        name: torch.from_numpy(weights[ours]).reshape(net.state_dict()[name].shape) for ours, name in names.items()
    }
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)


def bn_eps(library, variant):
    """The epsilon that these libraries build the variant with."""
    large = variant in ("efficientnet_b5", "efficientnet_b6", "efficientnet_b7")
    return 1e-5 if library == "timm" or library == "torchvision" and not large else 1e-3


def keras_net(variant, image_size, path, seed=0):
    """Keras' network, saved to `path` (.h5); f takes the same normalised NCHW pictures."""
    import keras
    from keras.src.applications.efficientnet import EfficientNet  # the public functions cannot switch dropout off

    from effnet.arch.family import VARIANTS

    keras.utils.set_random_seed(seed)
    row, quiet = VARIANTS[variant], {"dropout_rate": 0.0, "drop_connect_rate": 0.0}
    shape = (image_size, image_size, 3)
    net = EfficientNet(
        row.width, row.depth, row.image_size, weights=None, classifier_activation=None, input_shape=shape, **quiet
    )
    random = np.random.default_rng(seed)
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            layer.set_weights(
                [random.uniform(low, high, size) for low, high in ((0.8, 1.2), (-0.2, 0.2), (-0.2, 0.2), (0.5, 1.5))]
            )
    net.save(path)

    def forward(pictures, training=False):
        # its own pre-processing divides by 255 and, with fresh weights, normalises by mean 0 and variance 1
        return net(pictures.transpose(0, 2, 3, 1) * 255, training=training).detach().numpy()

    return forward


def _torchvision():
    """torchvision, even where its compiled part does not fit this torch: the networks are Python alone."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _torchvision.library = library  # goes when it is collected
        import torchvision
    return torchvision
