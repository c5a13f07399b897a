"""Networks of our own: shapes, counts known from the literature, and what they refuse."""

import pytest
import torch

import zoo
from zoo import nets
from zoo.errors import BadInput


def test_lenet_is_caffes():
    """431,080 parameters, the count of Caffe's LeNet for 28×28 (20 and 50 maps, 500 hidden units)."""
    net = nets.build("lenet", (1, 28, 28), 10)
    assert sum(p.numel() for p in net.parameters()) == 431_080
    assert net.embed(torch.zeros(3, 1, 28, 28)).shape == (3, 500)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 16, 16), (1, 32, 48)])
def test_lenet_takes_images_of_any_size(shape):
    net = nets.build("lenet", shape, 4)
    scores = net.predict(torch.rand(5, *shape))
    torch.testing.assert_close(scores.sum(1), torch.ones(5))


@pytest.mark.parametrize(("suite", "samples"), [("quickstart", "1×8×8"), ("office_caltech", "6")])
def test_a_net_that_does_not_fit_is_bad_input_before_anything_is_written(suite, samples, tmp_path, surf):
    with pytest.raises(BadInput, match=f"net lenet: takes images of 16×16 pixels and more, .* are {samples}"):
        zoo.run(suite, net="lenet", out=tmp_path / "run", data_root=surf)
    assert not (tmp_path / "run").exists()
