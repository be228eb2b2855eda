"""Evaluate a model, or two against each other: `python training/evaluate.py DIR --model A --against B --html out.html`.

The same as `omma eval`, for whoever trains: it embeds through the serving code, so that what is measured is what is
served, preprocessing and all.
"""

import typer

from services.standalone.cli.evaluate import evaluate

if __name__ == "__main__":
    typer.run(evaluate)
