"""People and services are added and removed: register, credentials and tokens, kept in step.

What must be safe comes first: the register forgets somebody before the credentials go, and it knows somebody only once
there are credentials for the name. Hashing a password takes some tenths of a second.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from doorward.access.identity import Operation, Person, Register, Role, Service
from doorward.access.passwords import Passwords
from doorward.access.people import PeopleBook, SetUp, set_up
from doorward.access.tokens import TokenBook
from doorward.archive.running.folder import Folder, named


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was issued; ``text`` is shown once."""

    id: str
    text: str = field(repr=False)
    expires_at: datetime


def new_first_code(folder: Folder, *, now: datetime) -> tuple[str, datetime]:
    """Return a new code of the first start and its end; an earlier one is no longer good. Raises ConfigError, StorageError."""
    lifetime = timedelta(seconds=folder.limits.first_code_s)
    made: list[str] = []

    def change(book: PeopleBook) -> PeopleBook:
        code, changed = book.with_first_code(now=now, lifetime=lifetime)
        made.append(code)
        return changed

    folder.change_people(change)
    return made[-1], now + lifetime


def admit_first(folder: Folder, name: str) -> None:
    """Make a name the first administrator in the register; one that is it already stays it. Raises ConfigError."""
    wanted = Person(name=name, role=Role.ADMINISTRATOR)

    def change(register: Register) -> Register:
        return register if wanted in register.persons else register.with_entry(wanted)

    folder.change_register(change)


def add_person(folder: Folder, person: Person, password: str | None) -> SetUp | None:
    """Let a person in and return what is shown once; without a password they log in elsewhere (OpenID).

    Raises ConfigError where the name is taken or the password is not good, StorageError.
    """
    folder.register().with_entry(person)
    if password is None:
        made = None
        if folder.people().of(person.name) is not None:  # left behind by a removal that broke off
            folder.change_people(lambda book: book.without(person.name))
    else:
        made = _set_up(folder, person.name, password)
    folder.change_register(lambda register: register.with_entry(person))
    return made


def set_password(folder: Folder, name: str, password: str) -> SetUp:
    """Give a person a new password, new one-time codes and recovery codes; sessions of the old ones end.

    Raises ConfigError where nobody has the name or the password is not good, StorageError.
    """
    person_named(folder.register(), name)
    return _set_up(folder, name, password)


def remove_person(folder: Folder, name: str) -> None:
    """Forget a person and by what they showed who they are. Raises ConfigError where there is none, StorageError."""
    person_named(folder.register(), name)
    folder.change_register(lambda register: register.without(name))
    folder.change_people(lambda book: book.without(name))


def person_named(register: Register, name: str) -> Person:
    """Return the person of a name. Raises ConfigError where there is none."""
    return named(register.persons, name, "person", "is nobody here")


def _set_up(folder: Folder, name: str, password: str) -> SetUp:
    made = set_up(name, password, Passwords(limits=folder.limits), limits=folder.limits)
    folder.change_people(lambda book: book.with_credentials(made.credentials))
    return made


# --- services -----------------------------------------------------------------------------------------------------------


def add_service(folder: Folder, service: Service) -> None:
    """Let a service in, with no token. Raises ConfigError where the name or a title is taken, StorageError."""
    folder.register().with_entry(service)
    if folder.tokens().of_owner(service.name):  # left behind by a removal that broke off
        folder.change_tokens(lambda book: book.without_owner(service.name))
    folder.change_register(lambda register: register.with_entry(service))


def remove_service(folder: Folder, name: str) -> None:
    """Forget a service and all its tokens. Raises ConfigError where there is none, StorageError."""
    service_named(folder.register(), name)
    folder.change_register(lambda register: register.without(name))
    folder.change_tokens(lambda book: book.without_owner(name))


def service_named(register: Register, name: str) -> Service:
    """Return the service of a name. Raises ConfigError where there is none."""
    return named(register.services, name, "service", "is no service here")


def issue_token(
    folder: Folder,
    owner: str,
    *,
    scope: Collection[Operation],
    lifetime: timedelta,
    now: datetime,
) -> NewToken:
    """Return a new token of a service. Raises ConfigError where there is no such service or scope, StorageError."""
    service_named(folder.register(), owner)
    made: list[NewToken] = []

    def change(book: TokenBook) -> TokenBook:
        issued = book.issue(
            owner=owner, scope=scope, now=now, lifetime=lifetime, limits=folder.limits
        )
        made.append(NewToken(id=issued.id, text=issued.text, expires_at=now + lifetime))
        return issued.book

    folder.change_tokens(change)
    return made[-1]
