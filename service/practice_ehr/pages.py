"""The sign-in and consent pages. Plain forms without script; whatever came from outside is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from starlette.responses import HTMLResponse

from service.practice_ehr.apps import CLINICIAN, CONTEXT_SCOPES, PASSWORD, Asked

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""No form-action: browsers apply it to the redirect that follows a form, and that leads to the app."""
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}"
    "label{display:block;margin:.6rem 0}button{font:inherit;padding:.4rem 1.2rem;margin-right:.6rem}.bad{color:#a00}"
)


def sign_in(title: str, action: str, handle: str, asked: Asked, wrong: bool = False) -> HTMLResponse:
    """Who are you?"""
    user = asked.launch.user if asked.launch else ""
    told = "<p class='bad' role='alert'>That name or password is wrong.</p>" if wrong else ""
    return _page(
        title,
        f"<p>{_text(asked.client_id)} asks for access.</p>{told}"
        f"<form method='post' action='{_text(action)}'>{_hidden('handle', handle)}{_hidden('step', 'sign-in')}"
        f"<label>User <input name='user' value='{_text(user)}' autocomplete='off' required></label>"
        "<label>Password <input name='password' type='password' autocomplete='off' required></label>"
        "<button type='submit'>Sign in</button></form>"
        f"<p>Practice: the user is <code>{CLINICIAN}</code> or a patient's id, the password <code>{PASSWORD}</code>.</p>",
        401 if wrong else 200,
    )


def consent(title: str, action: str, handle: str, asked: Asked, patients: Iterable[tuple[str, str]]) -> HTMLResponse:
    """What may it see, and of whom? `patients`: id and name of those to choose from; empty when that is settled."""
    rows = "".join(
        f"<label><input type='checkbox' name='scope' value='{_text(scope)}' checked> {_text(scope)}</label>"
        for scope in asked.scopes
        if "/" in scope or scope in CONTEXT_SCOPES
    )
    options = "".join(f"<option value='{_text(found)}'>{_text(name)}</option>" for found, name in patients)
    chooser = f"<label>Patient <select name='patient'>{options}</select></label>" if options else ""
    return _page(
        title,
        f"<p>{_text(asked.user)}, may {_text(asked.client_id)} use this?</p>"
        f"<form method='post' action='{_text(action)}'>{_hidden('handle', handle)}{_hidden('step', 'consent')}{chooser}{rows}"
        "<button name='answer' value='allow'>Allow</button><button name='answer' value='deny'>Deny</button></form>",
    )


def problem(title: str, words: str) -> HTMLResponse:
    """An end without a way back to the app."""
    return _page(title, f"<p class='bad' role='alert'>{_text(words)}</p>", 400)


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    head = f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>{_text(title)}</title>"
    page = f"{head}<style>{STYLE}</style></head><body><h1>{_text(title)}</h1>{body}</body></html>"
    return HTMLResponse(page, status, HEADERS)


def _hidden(name: str, value: str) -> str:
    return f"<input type='hidden' name='{name}' value='{_text(value)}'>"


def _text(value: str) -> str:
    return escape(value, quote=True)
