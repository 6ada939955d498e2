"""Approves a campaign and dies of SIGKILL right after the COMMIT.

python -m tests.chaos.approver URL TENANT NAME
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from tests.chaos.conftest import Field
from tests.mail.test_send import approve
from tools.base import Context


def main(url: str, tenant: str, name: str) -> None:
    async def approve_and_die(ctx: Context) -> None:
        await approve(ctx, name)
        os.kill(os.getpid(), signal.SIGKILL)

    Field(url, UUID(tenant), Path()).do(approve_and_die)


if __name__ == "__main__":
    main(*sys.argv[1:])
