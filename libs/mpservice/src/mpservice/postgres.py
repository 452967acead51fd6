"""The meaning of PostgreSQL's refusals, by their SQLSTATE: is it away, and in which words to say so."""

_AWAY = {
    "08": "PostgreSQL does not answer",
    "28": "PostgreSQL refuses our name or password",
    "3D": "PostgreSQL has no such database",
    "40": "PostgreSQL took the transaction back",
    "53": "PostgreSQL has no room for us",
    "55P03": "PostgreSQL holds what we need",
    "57": "PostgreSQL ended our session",
    "25": "PostgreSQL ended our session",
    # What a pooler between does to a session that is not ours alone.
    "26": "PostgreSQL, or a pooler before it, lost our statement",
    "34": "PostgreSQL, or a pooler before it, lost our statement",
    "42P05": "PostgreSQL, or a pooler before it, has another's statement",
    "0A000": "PostgreSQL changed below our statement",
    "58": "PostgreSQL has trouble with its machine",
    "F0": "PostgreSQL has trouble with its machine",
    "XX": "PostgreSQL has trouble of its own",
}
_UNMIGRATED = {
    "3F": "the database is not migrated yet",
    "42P01": "the database is not migrated yet",
    "42703": "the database is older than this build",
    "42501": "the database grants us too little: is it migrated?",
}


def why_away(error: BaseException, *, migrated: bool = False) -> str | None:
    """Say why the database is away for us; None for what is wrong with the statement or its values.

    Unless it is known to be `migrated`, tables and rights that are missing are still to come. The driver's own errors
    carry no state: of those, what is a `ValueError` speaks of a value.
    """
    said = str(error).partition("\n")[0] or type(error).__name__
    state = getattr(error, "sqlstate", None)
    if state:
        known = _AWAY if migrated else _AWAY | _UNMIGRATED
        words = known.get(state) or known.get(state[:2])
        return f"{words}: {said}" if words else None
    if isinstance(error, ValueError):
        return None
    return f"PostgreSQL does not answer: {said}"


def why_unavailable(error: BaseException) -> str:
    """Say why a question got no answer, whatever the driver raised: for questions that are all written in the code.

    What is wrong with a statement of ours, or with the tables, is mended by somebody, and then it goes on.
    """
    if reason := why_away(error):
        return reason
    said = str(error).partition("\n")[0] or type(error).__name__
    return f"PostgreSQL refuses what we ask ({getattr(error, 'sqlstate', None) or type(error).__name__}): {said}"
