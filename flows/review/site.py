"""The review's web application: pages, pictures, decisions, and one colorization at a time."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Literal, Protocol

import numpy as np
from fastapi import FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from flows.errors import FlowError, UsageError
from flows.failures import ItemFailure
from flows.progress import Progress
from flows.review import pages
from flows.review.deciding import candidates_for, decide, name_of
from flows.review.guard import Guard, Keys
from flows.review.jobs import Busy, Jobs, for_people
from flows.review.pages import filters_of, item_address, number_of, query_of
from flows.review.pictures import Kind, NoPicture, Pictures
from storage.database import Database, colorizations, review_queue
from storage.database.records import RecordedShot, ReferenceFile, RunColorization
from storage.database.review_queue import Filters
from storage.errors import StorageError

Id = Annotated[int, Path(ge=1, le=1 << 53)]


class Network(Protocol):
    """What needs the networks; see `flows.again`."""

    def colorize_again(
        self,
        row: RunColorization,
        reference_id: int,
        *,
        reviewer: str,
        reason: str | None,
        shot: int | None,
        progress: Progress,
    ) -> RunColorization:
        """Another result for the item."""

    def confidence_map(self, row: RunColorization) -> NDArray[np.float32]:
        """(H, W), 0..1."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the site works with. `stop` ends the server."""

    database: Database
    output_root: str
    reviewer: str
    pictures: Pictures
    network: Network
    keys: Keys
    stop: Callable[[], None]
    jobs: Jobs = field(default_factory=Jobs)

    def row(self, colorization_id: int) -> RunColorization:
        """A result of the output folder.

        Raises:
            NotThere: there is none with this id.
        """
        found = colorizations.get(self.database, [colorization_id])
        if not found or found[0].output_root != self.output_root or found[0].state != "done":
            raise NotThere(f"there is no result {colorization_id} in {self.output_root}")
        return found[0]

    def current(self, row: RunColorization) -> RunColorization | None:
        """What counts now for the item of a result."""
        found = colorizations.find(self.database, self.output_root, row.path, row.page)
        return next((one for one in found if one.item_id == row.item_id and one.state == "done"), None)


class NotThere(Exception):  # noqa: N818 - a finding, not an error of the program
    """What was asked for is not there; the argument is one line for people."""


class Outdated(Exception):  # noqa: N818 - a finding, not an error of the program
    """The result was replaced by another one meanwhile."""


class Decision(BaseModel):
    """What the page sends when a person decides."""

    decision: Literal["approved", "rejected"]
    reason: str = Field("", max_length=4000)


class Choice(BaseModel):
    """What the page sends when a person chooses another reference."""

    reference_id: int = Field(ge=1, le=1 << 53)
    shot: int | None = Field(None, ge=1, le=1 << 31)
    reason: str = Field("", max_length=4000)


def make_site(desk: Desk) -> Guard:
    """The application, with the guard before it."""
    app = FastAPI(title="review", docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(app, desk)
    _add_pages(app, desk)
    _add_pictures(app, desk)
    _add_decisions(app, desk)
    return Guard(app, desk.keys)


def _add_pages(app: FastAPI, desk: Desk) -> None:
    token = desk.keys.token

    @app.get("/")
    def listing(request: Request) -> HTMLResponse:
        query = request.query_params
        page = number_of(query.get("page", ""), "page") or 1
        return HTMLResponse(pages.list_page(desk.database, desk.output_root, filters_of(query), page, token))

    @app.get("/item/{colorization_id}")
    def item(request: Request, colorization_id: Id) -> Response:
        filters, row = filters_of(request.query_params), desk.row(colorization_id)
        shot = number_of(request.query_params.get("shot", ""), "shot")
        if row.superseded_at is not None and (current := desk.current(row)) is not None:
            return RedirectResponse(item_address(current.id, filters, shot=shot), 303)
        return HTMLResponse(pages.item_page(desk.database, row, filters, shot, token, desk.reviewer))

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/review.css")
    def style() -> Response:
        return Response(pages.asset("review.css"), media_type="text/css")

    @app.get("/review.js")
    def script() -> Response:
        return Response(pages.asset("review.js"), media_type="text/javascript")


def _add_pictures(app: FastAPI, desk: Desk) -> None:
    @app.get("/picture/{kind}/{colorization_id}")
    def picture(request: Request, kind: Literal["grey", "colour", "small"], colorization_id: Id) -> Response:
        row = desk.row(colorization_id)
        if kind == "small":
            return _picture(desk.pictures.small(row))
        of_result: Kind = kind
        shot = number_of(request.query_params.get("shot", ""), "shot")
        return _picture(desk.pictures.of_result(row, of_result, shot))

    @app.get("/picture/reference/{colorization_id}/{reference_id}")
    def reference(request: Request, colorization_id: Id, reference_id: Annotated[int, Path(ge=0)]) -> Response:
        shot = number_of(request.query_params.get("shot", ""), "shot")
        file = _reference(desk.row(colorization_id), reference_id, shot)
        return _picture(desk.pictures.of_reference(file, large=not reference_id))

    @app.get("/picture/confidence/of/{colorization_id}")
    def confidence(colorization_id: Id) -> Response:
        row = desk.row(colorization_id)

        def make() -> NDArray[np.float32]:
            with desk.jobs.alone(f"the confidence map of {name_of(row)}"):
                return desk.network.confidence_map(row)

        return _picture(desk.pictures.of_confidence(row, make), "image/png")


def _add_decisions(app: FastAPI, desk: Desk) -> None:
    @app.post("/item/{colorization_id}/decision")
    def decision(request: Request, colorization_id: Id, body: Decision) -> JSONResponse:
        filters, row = filters_of(request.query_params), _counting(desk, colorization_id)
        decide(desk.database, [row], body.decision, reviewer=desk.reviewer, reason=body.reason)
        return JSONResponse({"next": _next_unreviewed(desk, row, filters)})

    @app.post("/item/{colorization_id}/reference")
    def choice(request: Request, colorization_id: Id, body: Choice) -> JSONResponse:
        filters_of(request.query_params)  # complains now rather than when the work is done
        row = _counting(desk, colorization_id)
        if body.reference_id not in {one.reference_id for one in candidates_for(row, body.shot)}:
            raise UsageError(f"{name_of(row)} has no candidate with the id {body.reference_id}")
        about = name_of(row) + (f", shot {body.shot}" if body.shot else "")

        def work(progress: Progress) -> int:
            reason = body.reason.strip() or None
            made = desk.network.colorize_again(
                row, body.reference_id, reviewer=desk.reviewer, reason=reason, shot=body.shot, progress=progress
            )
            return made.id

        return JSONResponse({"job": asdict(desk.jobs.start(about, row.id, work))}, 202)

    @app.get("/job")
    def job() -> JSONResponse:
        state = desk.jobs.state
        return JSONResponse({"job": None if state is None else asdict(state)})

    @app.post("/stop")
    def stop() -> JSONResponse:
        if desk.jobs.is_busy:
            raise Busy("something is still being worked on; stop when that is done, or press Ctrl-C in the terminal")
        desk.stop()
        return JSONResponse({"stopped": True})


def _add_errors(app: FastAPI, desk: Desk) -> None:
    statuses: dict[type[Exception], int] = {
        NotThere: 404,
        Outdated: 409,
        Busy: 409,
        UsageError: 400,
        ItemFailure: 422,
        NoPicture: 422,
        FlowError: 503,
        StorageError: 503,
    }

    def answer(request: Request, message: str, status: int) -> Response:
        if request.method == "GET" and (request.url.path == "/" or request.url.path.startswith("/item/")):
            title = "Not found" if status == 404 else "This did not work"
            return HTMLResponse(pages.message_page(title, message, desk.keys.token), status)
        return JSONResponse({"error": message}, status)

    for kind, status in statuses.items():
        app.add_exception_handler(
            kind,
            lambda request, error, status=status: answer(request, for_people(error), status),
        )

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return answer(request, f"{first['loc'][-1]}: {first['msg']}", 400)

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> Response:
        return answer(request, str(error.detail), error.status_code)


def _counting(desk: Desk, colorization_id: int) -> RunColorization:
    """The result, which must be the one that counts: nobody is to decide on what was replaced meanwhile."""
    row = desk.row(colorization_id)
    if row.superseded_at is not None:
        raise Outdated(f"{name_of(row)} was colorized anew meanwhile; load the page again to see it")
    return row


def _next_unreviewed(desk: Desk, row: RunColorization, filters: Filters) -> str:
    """The address of what is to be looked at after this; at the end the list."""
    unreviewed = replace(filters, show="unreviewed")
    found = review_queue.beside(desk.database, desk.output_root, unreviewed, row, "next")
    if found is None:
        found = review_queue.first(desk.database, desk.output_root, unreviewed)
    return f"/{query_of(filters)}" if found is None else item_address(found, filters)


def _reference(row: RunColorization, reference_id: int, shot_number: int | None) -> ReferenceFile:
    """A candidate of a result, or, with the number 0, the reference that was used.

    Raises:
        NotThere: there is none such.
    """
    for candidate in row.candidates:
        if candidate.reference_id == reference_id:
            return ReferenceFile(candidate.library, candidate.path, candidate.sha256 or "")
    used: RunColorization | RecordedShot | None = row
    if shot_number is not None:
        used = next((shot for shot in row.shots if shot.number == shot_number), None)
    if reference_id or used is None or used.reference_path is None:
        raise NotThere(f"{name_of(row)} has no such reference")
    return ReferenceFile(used.reference_library, used.reference_path, used.reference_sha256 or "")


def _picture(content: bytes, media_type: str = "image/jpeg") -> Response:
    # Another server at the same address has other secrets in its cookie, and other pictures.
    return Response(content, media_type=media_type, headers={"Cache-Control": "private, max-age=60", "Vary": "Cookie"})
