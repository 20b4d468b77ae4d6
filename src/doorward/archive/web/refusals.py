"""How the web says no: one form for every reason, with no word about what the caller may not know."""

from starlette.responses import JSONResponse


def refusal(status: int, reason: str, *, retry_after_s: int | None = None) -> JSONResponse:
    """Return {"error": reason}. 401: nobody; 403: the policy's reason; 429: the hour is used up, with Retry-After."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return JSONResponse({"error": reason}, status_code=status, headers=headers)
