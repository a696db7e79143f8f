"""What the reader has answered so far: a small file beside the notebooks, and the page that shows it."""

from __future__ import annotations

import contextlib
import html
import os
import pathlib
from collections.abc import Iterator

from mytensor.files import from_json, to_json, write_whole
from mytensor.workbook.exercise.declare import EXERCISES

FILE_NAME = ".progress.json"
MARKS = {"right": "●", "wrong": "◐", None: "○"}
_KNOWN = ("right", "wrong")


class Progress:
    """The outcomes in one file: exercise number -> "right" or "wrong". What was right once stays right.

    The file is never half-written, and one that holds something else is put aside, not trusted and not destroyed.
    os.devnull as its path: nothing is remembered.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)

    @classmethod
    def here(cls) -> Progress:
        """The file named by MYTENSOR_PROGRESS, else the one in the current folder, where a notebook's kernel runs."""
        return cls(os.environ.get("MYTENSOR_PROGRESS") or FILE_NAME)

    def outcomes(self) -> dict[str, str]:
        """What the file says; nothing where there is none or it cannot be read."""
        try:
            content = from_json(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {number: state for number, state in content.items() if state in _KNOWN}

    def remember(self, number: str, state: str) -> str | None:
        """Enters an outcome; returns what prevented it, None if nothing did."""
        if state not in _KNOWN or number not in EXERCISES or str(self.path) == os.devnull:
            return None
        try:
            with self._locked():
                self._put_odd_content_aside()
                outcomes = self.outcomes()
                if outcomes.get(number) in ("right", state):
                    return None
                outcomes[number] = state
                write_whole(self.path, to_json(dict(sorted(outcomes.items())), indent=1).encode())
        except OSError as error:
            return os.strerror(error.errno) if error.errno else type(error).__name__
        return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time: several notebooks may run at once."""
        import fcntl  # here, since Windows itself has none

        folder = os.open(self.path.absolute().parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _put_odd_content_aside(self) -> None:
        try:
            odd = not isinstance(from_json(self.path.read_bytes()), dict)
        except FileNotFoundError:
            return
        except ValueError:
            odd = True
        if odd:
            os.replace(self.path, self.path.with_name(f"{self.path.name}.odd"))

    # -----------------------------------------------------------------------------------------------------------------

    def rows(self) -> list[tuple[str, list[tuple[str, str, str | None]]]]:
        """(notebook's number, its exercises as (number, title, outcome)), in the book's order."""
        outcomes = self.outcomes()
        notebooks: dict[str, list[tuple[str, str, str | None]]] = {}
        for number, declared in sorted(EXERCISES.items()):
            row = (number, declared.title, outcomes.get(number))
            notebooks.setdefault(number.partition(".")[0], []).append(row)
        return list(notebooks.items())

    def __repr__(self) -> str:
        lines = []
        for notebook, exercises in self.rows():
            marks = "".join(MARKS[outcome] for _, _, outcome in exercises)
            lines.append(f"{notebook}  {marks:<4} {self._count(exercises)}")
        everything = [exercise for _, exercises in self.rows() for exercise in exercises]
        return "\n".join([*lines, f"all  {self._count(everything)}"])

    @staticmethod
    def _count(exercises: list[tuple[str, str, str | None]]) -> str:
        right = sum(outcome == "right" for _, _, outcome in exercises)
        return f"{right} of {len(exercises)} right"

    def _repr_html_(self) -> str:
        body = []
        for notebook, exercises in self.rows():
            link = notebook
            for path in sorted(pathlib.Path().glob(f"{notebook}_*.ipynb")):
                link = f'<a href="{html.escape(path.name)}">{html.escape(path.stem)}</a>'
            told = "<br>".join(
                f"{MARKS[outcome]} {html.escape(f'{number} {title}')}" for number, title, outcome in exercises
            )
            body.append(
                f"<tr><td>{link}</td><td style='text-align:left'>{told}</td><td>{self._count(exercises)}</td></tr>"
            )
        everything = [exercise for _, exercises in self.rows() for exercise in exercises]
        return (
            "<table><thead><tr><th>notebook</th><th style='text-align:left'>● right &nbsp; ◐ tried &nbsp; ○ open</th>"
            f"<th>{self._count(everything)}</th></tr></thead><tbody>{''.join(body)}</tbody></table>"
        )


def progress() -> Progress:
    """The reader's progress, to be shown at the end of a cell."""
    return Progress.here()
