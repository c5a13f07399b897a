from __future__ import annotations

from zoo.select.base import Validator


class Reverse(Validator):
    """Circular validation: the method goes back from the target with its own labels, and is judged on the source.

    A fit of its own: source-train becomes the unlabelled target of a source that is target-adapt with the labels that
    the method predicted; accuracy on source-validation. Mistakes that undo one another are not seen.

    Source: Bruzzone and Marconcini 2010, section 4 (circular validation); Zhong et al. 2010 (reverse validation).
    """

    needs = {"pt", "yv"}
    outside = "reverse"
    cite = "bruzzone2010domain"
