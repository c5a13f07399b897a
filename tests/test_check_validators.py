"""`zoo check` of validators: all of the zoo's keep the contract, and what breaks it is told."""

import pytest

from zoo import check, select

BROKEN = {
    "reads": (
        "return float(len(seen.yv))",
        "needs",
        "LeakError: yv was read, but the validator's needs do not name it",
    ),
    "draws": ("import os; return float(int.from_bytes(os.urandom(4), 'big'))", "repeats", "for the same fit"),
    "nothing": ("return float('nan')", "needs", "gives nan for a plain fit"),
    "text": ("return 'good'", "needs", "could not convert string to float"),
    "dies": ("import os; os._exit(7)", "needs", "exit code 7"),
    "raises": ("return 1 / int(seen.pt[:, 1:].max() > 0.01)", "one class", "ZeroDivisionError"),
    "sleeps": ("import time; time.sleep(60)", "needs", "takes more than 3 s"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", select.validators())
def test_the_zoos_validators_keep_it(server, name):
    outcomes = check.run(select.validators()[name].path)  # bnm is a method, too
    assert not [o for o in outcomes if not o.ok]
    assert [o.skipped for o in outcomes] == ([True] if name in ("oracle", "reverse") else [False] * 4)


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_it_is_told(server, tmp_path, name):
    body, test, why = BROKEN[name]
    path = tmp_path / f"{name}.py"
    path.write_text(
        "from zoo.select.base import Validator\n\n\n"
        f"class Mine(Validator):\n    def value(self, seen):\n        {body}\n"
    )
    outcomes = {o.name: o for o in check.run(path, limit=3 if name == "sleeps" else 60)}
    assert not outcomes[test].ok
    assert why in outcomes[test].detail


def test_of_the_command(zoo, tmp_path):
    path = tmp_path / "raises.py"
    head = "from zoo.select.base import Validator\n\n\nclass Mine(Validator):\n"
    path.write_text(head + "    def value(self, seen):\n        1 / 0\n")
    done = zoo("check", path)
    assert done.code == 1
    assert "FAIL  needs: ZeroDivisionError" in done.out
    assert zoo("check", "no_such_thing").code == 2
