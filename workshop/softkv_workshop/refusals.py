"""The refusals of rooms and of the lab."""

from __future__ import annotations

from softkv_service.api.parts import Refusal
from softkv_workshop import lab, rooms

REFUSALS = {
    "lab_closed": Refusal(
        403,
        "this caller may only read, and the lab is not for readers",
        lab.LabClosed,
        advice="use a key that may write, or let the operator set `SOFTKV_LAB=readers`",
    ),
    "not_presenter": Refusal(
        403,
        "only the caller that opened the room or sent the row may do this: the secret is missing or wrong",
        rooms.NotPresenter,
        advice="send the presenter's secret, or that of the row's sender, as `X-Room-Secret`",
    ),
    "room_not_found": Refusal(
        404,
        "there is no room with this code",
        rooms.RoomNotFound,
        advice="check its letters; [a restart](../../workshop/docs/teach/rooms.md#after-a-restart) ends all rooms",
    ),
    "room_over": Refusal(404, "the room with this code has ended", rooms.RoomOver),
    "room_row_not_found": Refusal(404, "the room has no such row", rooms.RowNotFound),
    "room_taken": Refusal(409, "a room with this code is open", rooms.RoomTaken),
    "question_over": Refusal(
        409,
        "the question is not the current one of the room, or its answer is shown already, or not yet",
        rooms.QuestionOver,
    ),
    "room_full": Refusal(
        413,
        "the room has its maximum of rows, guesses, questions or bytes",
        rooms.RoomFull,
        advice="remove rows: [limits](../../workshop/docs/teach/rooms.md#access-and-limits)",
    ),
    "rooms_full": Refusal(
        429, "the maximum number of rooms is open, in the service or for this caller", rooms.RoomsFull, repeat=True
    ),
    "listeners_full": Refusal(429, "the room has its maximum number of listeners", rooms.ListenersFull, repeat=True),
    "model_not_trained": Refusal(
        404,
        "the lab has no model with this id, or no longer",
        lab.ModelNotTrained,
        advice="look at `GET /v1/lab`, or train the model again",
    ),
    "lab_busy": Refusal(409, "the lab trains another model, one at a time: try again", lab.LabBusy, repeat=True),
    "training_failed": Refusal(
        503, None, lab.TrainingFailed, advice="train again when the machine is less busy; the log may have the cause"
    ),
}
ERRORS: dict[type[Exception], str] = {lab.LibraryNeeded: "library_missing"}
