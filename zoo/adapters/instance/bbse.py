from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.priors import confusion_ratio, out_of_fold

if TYPE_CHECKING:
    from zoo.task import Task


class Bbse(Reweighting):
    """BBSE: corrects class priors that differ, from a source classifier's confusion matrix and target predictions.

    The confusion matrix is taken out of fold on the source. Right where only the priors shift; where the classes
    themselves look different in the target, predictions are wrong for another reason and the weights correct what is
    not there: in none of our tables does it gain. The certificate has the condition number. Source: Lipton et al.
    (2018), eq. 3.

    Parameters
    ----------
    reg : float
        Ridge towards equal priors, in units of the largest squared singular value of the confusion matrix.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.
    """

    title = "BBSE"
    cite = "lipton2018detecting"
    tasks = {"classification"}
    sparse = True
    space = {"reg": ("log", 1e-6, 1)}

    def __init__(self, reg: float = 1e-3, how: str = "weight") -> None:
        self.reg, self.how = reg, how

    def weights(self, task: Task) -> Tensor:
        if self.reg < 0:
            raise BadInput(f"bbse: reg is at least 0, got {self.reg}")
        held = out_of_fold(task.learner, task.Xs, task.ys, task.n_classes)
        predicted = task.learner.fit(task.Xs, task.ys, task.n_classes).predict(task.Xt).argmax(1)
        ratio, condition = confusion_ratio(held, task.ys, predicted, self.reg)
        self.certificate_ = {"condition": condition, "largest": float(ratio.max())}
        return ratio[task.ys]
