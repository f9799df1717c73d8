"""Why a password is not changed, as a page in Spanish says it.

SPANISH    (what the program on the host says, in Spanish) each; %d is a number

The program (templates/passwords) speaks English, to whoever asks; a test holds its sentences against these. Hosts get
the same files whatever the language of whoever applies, so this is no matter of gettext.
"""

from __future__ import annotations

SPANISH: tuple[tuple[str, str], ...] = (
    (
        "the new password is too short: it needs at least %d characters",
        "la contraseña nueva es demasiado corta: necesita al menos %d caracteres",
    ),
    (
        "the new password is too long: at most %d bytes",
        "la contraseña nueva es demasiado larga: como máximo %d bytes",
    ),
    (
        "the new password has a sign that no keyboard writes, or is no UTF-8",
        "la contraseña nueva tiene un signo que ningún teclado escribe, o no es UTF-8",
    ),
    (
        "the new password begins or ends with a blank",
        "la contraseña nueva empieza o termina con un espacio",
    ),
    ("the new password is too easy to guess", "la contraseña nueva es demasiado fácil de adivinar"),
    ("the new password is the old one", "la contraseña nueva es la de antes"),
    (
        "too many wrong passwords; try again in %d minutes",
        "demasiadas contraseñas incorrectas; vuelva a intentarlo dentro de %d minutos",
    ),
    (
        "this account may not log in at present; ask your administrator",
        "esta cuenta no puede entrar por ahora; pregunte a su administrador",
    ),
    (
        "the server is being set up at this moment; try again in some minutes",
        "el servidor se está configurando en este momento; vuelva a intentarlo dentro de unos minutos",
    ),
    ("that is no address of an account here", "esa no es la dirección de una cuenta de este servidor"),
    (
        "the address or the old password is wrong",
        "la dirección o la contraseña actual no es correcta",
    ),
    (
        "this password is set by your administrator, in mailprov's inventory; ask there for another one",
        "esta contraseña la establece su administrador, en el inventario de mailprov; pídale otra",
    ),
    (
        "the password was changed meanwhile by somebody else; try again with that one",
        "mientras tanto otra persona ha cambiado la contraseña; vuelva a intentarlo con esa",
    ),
    ("a line is too long, or has no end", "la contraseña nueva es demasiado larga"),
    (
        "the password could not be changed; try again later",
        "no se ha podido cambiar la contraseña; vuelva a intentarlo más tarde",
    ),
    (
        "the server does not answer; try again later",
        "el servidor no responde; vuelva a intentarlo más tarde",
    ),
)
