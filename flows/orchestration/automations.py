"""Two automations for a Prefect server, set up once: `python -m flows.orchestration.automations [--webhook URL]`.

A flow run whose process is gone sends no heartbeats any more: it is set to Crashed, and does not stand as running for
ever. A run that fails or crashes is told to a webhook. The same command again changes what is there.
"""

import argparse
import asyncio
from datetime import timedelta

from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.schemas.objects import StateType
from prefect.events import EventTrigger
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import Posture

TAG = "archive-colorizer"
BLOCK = "archive-colorizer-failures"
BEATS = 3
"""Heartbeats that must be missing; fewer would take a busy machine for a dead one."""
_RUNS: dict[str, str | list[str]] = {"prefect.resource.id": "prefect.flow-run.*"}
_OURS: dict[str, str | list[str]] = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}


def zombies(heartbeat_seconds: int) -> Automation:
    """Sets a run to Crashed whose heartbeats stop. The workers need the same PREFECT_FLOWS_HEARTBEAT_FREQUENCY."""
    ends = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
    return Automation(
        name="archive-colorizer: runs whose process is gone",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *ends},
            match=_RUNS,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=BEATS * heartbeat_seconds),
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                force=False,
                state=StateType.CRASHED,
                message="no sign of life any more; the next run goes on where this one was",
            )
        ],
    )


async def failures(url: str) -> Automation:
    """Posts a line to a webhook when one of our runs fails or crashes."""
    block = CustomWebhookNotificationBlock(
        name=BLOCK, url=url, headers=None, cookies=None, json_data={"text": "{{subject}}\n{{body}}"}
    )
    block_id = await block.asave(BLOCK, overwrite=True)
    return Automation(
        name="archive-colorizer: failed runs are told",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match=_RUNS,
            match_related=_OURS,
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            SendNotification(
                block_document_id=block_id,
                subject="{{ flow.name }} {{ flow_run.state.name }}",
                body="{{ flow_run.name }}: {{ flow_run.state.message }}",
            )
        ],
    )


async def put(automation: Automation) -> None:
    """Make it, in place of one of the same name."""
    try:
        there = await Automation.aread(name=automation.name)
    except ValueError:
        await automation.acreate()
        return
    automation.id = there.id
    await automation.aupdate()


def main() -> None:
    """Set them up on the server of PREFECT_API_URL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--webhook", metavar="URL", help="where failed runs are told, as JSON with a field text")
    parser.add_argument("--heartbeat", type=int, default=30, metavar="SECONDS", help="of the workers, from 30")
    given = parser.parse_args()
    asyncio.run(_put_all(given.heartbeat, given.webhook))


async def _put_all(heartbeat_seconds: int, webhook: str | None) -> None:
    await put(zombies(heartbeat_seconds))
    print("runs whose process is gone are set to Crashed")
    if webhook:
        await put(await failures(webhook))
        print("failed runs are told to the webhook")


if __name__ == "__main__":
    main()
