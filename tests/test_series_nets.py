"""Networks of series: parameters by hand, features and head, padding as PyTorch has it."""

import pytest
import torch

from zoo import nets


def test_parameters_are_as_many_as_the_papers_layers_have():
    """By hand, from the layers that AdaTime's code, Wang et al. and Ismail Fawaz et al. list; none has a bias."""
    count = {n: sum(p.numel() for p in nets.build(n, (9, 128), 6).parameters()) for n in nets_of_series()}
    adatime = 9 * 64 * 5 + 64 * 128 * 8 + 128 * 128 * 8 + 2 * (64 + 128 + 128) + 129 * 6
    residual = [9 * 64 * (8 + 1) + 64 * 64 * (5 + 3), 64 * 128 * (8 + 1) + 128 * 128 * (5 + 3), 128 * 128 * 16]
    wang = sum(residual) + 2 * 4 * (64 + 128 + 128) + 129 * 6

    def module(i):
        return i * 32 + 32 * 32 * (40 + 20 + 10) + i * 32 + 2 * 128

    fawaz = module(9) + 5 * module(128) + (9 + 128) * 128 + 2 * 2 * 128 + 129 * 6
    assert count == {"cnn1d": adatime, "resnet1d": wang, "inception_time": fawaz}


def nets_of_series():
    from zoo import discover

    return [name for name, info in discover.nets().items() if info.shortest]


@pytest.mark.parametrize("name", ["cnn1d", "resnet1d", "inception_time"])
def test_a_network_is_features_and_head_and_sees_each_series_by_itself(name):
    torch.manual_seed(0)
    net = nets.build(name, (3, 20), 4)
    X = torch.randn(5, 3, 20)
    net(X)  # statistics of the norms
    Z = net.embed(X)
    assert Z.shape == (5, net.width)
    torch.testing.assert_close(torch.softmax(net.head(Z), 1), net.predict(X))
    torch.testing.assert_close(net.embed(X[:1]), Z[:1], rtol=1e-4, atol=1e-5)
    assert len(nets.blocks(net)) >= 3


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_a_convolution_keeps_its_place():
    """An even kernel pads its end by one more, as Keras's and PyTorch's ``same`` do."""
    from zoo.nets._series import same

    X = torch.randn(2, 3, 30)
    for kernel in (3, 8, 40):
        ours = same(3, 4, kernel)
        weight = ours[1].weight
        torch.testing.assert_close(ours(X), torch.nn.functional.conv1d(X, weight, padding="same"))
