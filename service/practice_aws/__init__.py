"""Loopback fakes of the AWS services Chartbrief calls, true to botocore's own service models.

For tests, demonstrations and a user's rehearsal: `python -m service.practice_aws` prints the settings to use.
"""

from service.practice_aws.behaviours import BEHAVIOURS, Reply
from service.practice_aws.server import PracticeAws

__all__ = ["BEHAVIOURS", "PracticeAws", "Reply"]
