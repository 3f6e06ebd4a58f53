"""Tests of benches/python/compare.py: it names a row that became slower, and none that only its noise made slower."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benches" / "python" / "compare.py"


@pytest.fixture(scope="module")
def compare() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("compare_results", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(ratio: float, *, connect: float = 4.0, by_round: list[float] | None = None) -> dict[str, Any]:
    """Makes the results of a run."""
    row: dict[str, Any] = {"group": "small call", "name": "mean", "unit": "us"}
    row |= {
        "values": {"workerlib": 100 * ratio, "PyScript's own": 100.0},
        "ratios": {"PyScript's own": ratio},
    }
    if by_round is not None:
        row["by_round"] = {"PyScript's own": by_round}
    connecting = {"group": "connect", "name": "and one call", "unit": "ms", "values": {"workerlib": connect}}
    memory = {"group": "memory", "name": "after", "unit": "times", "values": {"page": 1.0}}
    return {"plain": {"rows": [row, connecting, memory]}}


def written(folder: Path, name: str, results: dict[str, Any]) -> str:
    """Writes results into a file, and gives its path."""
    path = folder / name
    path.write_text(json.dumps(results))
    return str(path)


def test_slower_by_more_than_three_runs_lie_apart(
    compare: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Protects the report: the row, both numbers and the peer are named, and the exit code tells."""
    before = ",".join(
        written(tmp_path, f"before{at}", run(value)) for at, value in enumerate((0.8, 0.82, 0.84))
    )
    after = ",".join(
        written(tmp_path, f"after{at}", run(value)) for at, value in enumerate((0.89, 0.9, 0.92))
    )
    assert compare.main([before, after]) == 1
    told = capsys.readouterr().out
    assert "plain / small call / mean: 0.82 -> 0.9 (+10%" in told
    assert "times PyScript's own" in told
    assert "connect" not in told
    assert "memory" not in told
    # And the other way round it became faster.
    assert compare.main([after, before]) == 0
    assert "none of 2 rows became slower" in capsys.readouterr().out


@pytest.mark.parametrize("after", [(0.84, 0.85, 0.86), (0.8, 0.84, 1.2)])
def test_noise_is_no_change(compare: ModuleType, tmp_path: Path, after: tuple[float, ...]) -> None:
    """Protects from false alarms: a median within the spread of either side's runs is none."""
    befores = [run(value) for value in (0.8, 0.82, 0.84)]
    changes = compare.compare(befores, [run(value) for value in after])
    assert compare.tell(changes) == []


def test_the_rounds_of_one_run_are_its_spread(compare: ModuleType) -> None:
    """Protects the comparison of two commits, each of which has the results of one run."""
    before = run(0.8, by_round=[0.79, 0.8, 0.81])
    assert compare.tell(compare.compare([before], [run(0.83, by_round=[0.82, 0.83, 0.84])]))
    assert not compare.tell(compare.compare([before], [run(0.83, by_round=[0.78, 0.83, 0.84])]))


def test_a_time_without_a_peer_is_compared_as_it_is(compare: ModuleType) -> None:
    """Protects rows such as connecting, whose spread an old commit does not tell."""
    assert not compare.tell(compare.compare([run(0.8)], [run(0.8, connect=4.3)]))
    (line,) = compare.tell(compare.compare([run(0.8)], [run(0.8, connect=4.5)]))
    assert line.startswith("plain / connect / and one call: 4 -> 4.5")
    assert "in its unit" in line


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_results_of_commits(
    compare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Protects the reading of a commit's results, and the error where a commit has none."""
    monkeypatch.chdir(tmp_path)
    results = tmp_path / compare.RESULTS
    results.parent.mkdir(parents=True)

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    git("init")
    for ratio in (0.8, 0.9):
        results.write_text(json.dumps(run(ratio, by_round=[ratio, ratio + 0.01])))
        git("add", ".")
        git("commit", "--message", str(ratio))
    assert compare.main(["HEAD~1", "HEAD"]) == 1
    assert "0.8 -> 0.9" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"neither a file nor a commit that has benches/results/none\.json"):
        compare.read("HEAD", "benches/results/none.json")
