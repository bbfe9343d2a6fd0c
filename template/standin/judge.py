"""Has the real gcloud judge command lines and manifests: it parses them, and is stopped at its first call to a server.

Reads JSON lines {"words": [...], "files": {"NAME": "TEXT"}} and prints one {"words", "error"} for each that it refuses.
Run by judge.mjs, with the Python and the libraries of the gcloud that is on the PATH.
"""

import contextlib
import io
import json
import os
import sys
import tempfile

sys.path[:0] = [os.environ["GCLOUD_LIB"], os.path.join(os.environ["GCLOUD_LIB"], "third_party")]

from googlecloudsdk import gcloud_main  # noqa: E402
from googlecloudsdk.core import log  # noqa: E402
from googlecloudsdk.core.resource import resource_filter, resource_printer  # noqa: E402
from googlecloudsdk.core.resource import resource_projection_spec  # noqa: E402
import requests  # noqa: E402
import httplib2  # noqa: E402


class Accepted(BaseException):
    """gcloud has nothing against it: it is about to call a server. No Exception, so that nobody catches it."""


def stop(*_args, **_kwargs):
    raise Accepted()


requests.Session.send = stop
requests.Session.request = stop
httplib2.Http.request = stop


def judge(cli, words):
    """What gcloud says against the words, or None."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            log.Reset(sys.stdout, sys.stderr)
            cli.Execute(words)
    except Accepted:
        pass
    except SystemExit as exit:
        if exit.code:
            return said.getvalue().strip() or f"exit {exit.code}"
    # Both are only looked at when there is something to print.
    for word in words:
        try:
            if word.startswith("--format="):
                resource_printer.Printer(word.split("=", 1)[1], out=io.StringIO())
            if word.startswith("--filter="):
                resource_filter.Compile(word.split("=", 1)[1], defaults=resource_projection_spec.ProjectionSpec())
        except Exception as error:  # whatever it is, gcloud would end with it
            return f"{word}: {error}"
    return None


def main():
    cli = gcloud_main.CreateCLI([])
    lines = sys.stdin.readlines()
    for line in lines:
        call = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            words = list(call["words"])
            for name, text in call["files"].items():
                path = os.path.join(folder, os.path.basename(name))
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                words = [word.replace(name, path) for word in words]
            os.chdir(folder)
            error = judge(cli, words)
            os.chdir("/")
        if error:
            print(json.dumps({"words": call["words"], "error": error}))


main()
