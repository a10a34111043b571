"""`python -m service.practice_aws [--behaviour honest] [--port 8089]`: a practice model for your own development."""

from __future__ import annotations

import contextlib
import sys
from argparse import ArgumentParser

from service.practice_aws.behaviours import BEHAVIOURS
from service.practice_aws.server import PracticeAws, serve_forever

_SETTINGS = """Practice Bedrock and KMS at {url} ({behaviour}); Ctrl-C ends. Settings to use it with:
export AWS_ACCESS_KEY_ID=practice AWS_SECRET_ACCESS_KEY=practice
export CHARTBRIEF_MODEL_ID=anthropic.claude-sonnet-4-20250514-v1:0
export CHARTBRIEF_MODEL_ENDPOINT_URL={url} CHARTBRIEF_MODEL_BAA_DECLARED=true
"""


def main() -> None:
    """Serve until interrupted."""
    parser = ArgumentParser(prog="python -m service.practice_aws", description=__doc__)
    parser.add_argument("--behaviour", choices=sorted(BEHAVIOURS), default="honest")
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    aws = PracticeAws(asked.behaviour, port=asked.port)
    sys.stdout.write(_SETTINGS.format(url=aws.endpoint_url, behaviour=asked.behaviour))
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        serve_forever(aws)


if __name__ == "__main__":
    main()
