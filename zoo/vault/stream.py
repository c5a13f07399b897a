"""The far side of a stream: one batch at a time, of which the session keeps nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.vault import account

if TYPE_CHECKING:
    from zoo.vault.session import Session


def observed(session: Session, message: dict[str, Any]) -> dict[str, Any]:
    """Class scores of a batch, by what adapts to it or by `predict`; the next is sent once the driver has them."""
    charged = session.shared.wall
    rule = session.adapter.observe if message["adapts"] else session.adapter.predict
    with account.Clock(session.shared) as clock:
        found = {
            name: session._scores(rule, _passing(session, rows), message["adapts"])
            for name, rows in message["arrays"].items()
        }
    if message["last"]:
        session.adapter = session.graphs = None
    spent = {"predict_s": clock.wall, "shared_s": session.shared.wall - charged}
    return {"scores": found, **spent, **session._peaks()}


def _passing(session: Session, rows: Any) -> Any:
    """A batch as the learner sees it; unlike sets, which other methods are asked for too, it is not remembered."""
    import torch

    X = session._tensor(rows)
    if session.embed is not None:
        return session.embed(X)
    if not session.shaped and X.layout == torch.strided:
        X = X.flatten(1).float() / 255 if X.dtype == torch.uint8 else X.flatten(1)
    return X
