"""Photos to an FTP or FTPS server (explicit TLS, its certificate checked)."""

import contextlib
import ftplib
import io
import re
import socket
import ssl
from urllib.parse import unquote, urlsplit

from ..deadline import Deadline
from ..errors import NotTaken, Refused, Unavailable, in_words
from ..secret import Secret
from . import check_size, login_refused, put_in_place
from .section import PhotosSection

# Answers of RFC 959, 4.2: not logged in, or an account is wanted; storage exceeded; a command that is not there
ACCOUNT, STORAGE, LACKS = ("530", "332", "532"), "552", ("500", "502", "504")
_FAULTS = (OSError, EOFError, ValueError, ftplib.Error)


class FtpTarget:
    """One kept connection. Every exchange on it has the time-out."""

    def __init__(self, photos: PhotosSection, timeout_s: float) -> None:
        parts = urlsplit(photos.url)
        self._tls = ssl.create_default_context(cafile=photos.ca_file) if parts.scheme == "ftps" else None
        self._host, self._port = parts.hostname or "", parts.port or 21
        self.server = f"{parts.scheme}://{self._host}:{self._port}"
        self._user = unquote(parts.username or "anonymous")
        self._folder = unquote(parts.path).rstrip("/")
        self._password = Secret(photos.password_file, "[photos] password_file")
        self._timeout_s = timeout_s
        self._ftp: _Connection | None = None

    def put(self, name: str, data: bytes, deadline: Deadline) -> None:
        """Put a file there whole (see Target)."""
        where = f"{self.server}{self._folder}/{name}"
        ftp = self._connected(deadline)
        try:
            self._put(ftp, f"{self._folder}/{name}", data)
        except _Lacks as error:
            raise Unavailable(
                f"the FTP server lacks {error.verb}",
                where=self.server,
                found=self._password.hidden(error),
                allowed="TYPE, PASV, STOR, SIZE, RNFR and RNTO; MKD for new folders, DELE to replace a file",
                advice=f"enable {error.verb} on the FTP server",
                hint="sealpin-edge doctor --config CONFIG",
            ) from None
        except (ftplib.error_perm, ftplib.error_temp) as error:
            code, found = str(error)[:3], self._password.hidden(error)
            if code in ACCOUNT:
                raise login_refused(self.server, found) from None
            if isinstance(error, ftplib.error_perm) and code != STORAGE:
                raise Refused("the server refuses this file", where=where, found=found) from None
            kind = Unavailable if code == "421" else NotTaken
            raise kind("the FTP server does not take this file now", where=where, found=found) from None
        except _FAULTS as error:
            raise Unavailable("the FTP server broke off", where=where, found=self._told(error)) from None

    def remove(self, name: str) -> None:
        """Delete a file."""
        if self._ftp:
            self._ftp.delete(f"{self._folder}/{name}")

    def close(self) -> None:
        """Drop the connection."""
        if self._ftp is not None:
            self._ftp.close()
        self._ftp = None

    def _put(self, ftp: "_Connection", target: str, data: bytes) -> None:
        partial = f"{target}.part"
        try:
            ftp.store(partial, data)
        except ftplib.error_perm:
            # One answer for a folder that is missing and for a server that writes over nothing, not even over what an
            # earlier try has left. Folders that exist refuse to be made, which is fine
            lacks = ftp.clear_way(partial)
            try:
                ftp.store(partial, data)
            except ftplib.error_perm as error:
                raise lacks or error from None
        ftp.voidcmd("TYPE I")
        check_size(ftp.size(partial), data, partial)
        put_in_place(lambda: ftp.rename(partial, target), lambda: ftp.delete(target), ftplib.error_perm)

    def _connected(self, deadline: Deadline) -> "_Connection":
        if self._ftp is None:
            ftp = self._ftp = _Connection(self._tls, self._timeout_s)
            ftp.begin(deadline)
            password = self._password.read()
            try:
                ftp.connect(self._host, self._port)
                if self._tls:
                    ftp.auth()
                offered = ftp.choose_letters()
                self._check_letters(ftp.letters, password)
                ftp.login(self._user, password, secure=False)
                if offered is None:
                    ftp.choose_letters()
                    self._check_letters(ftp.letters, password)
                if self._tls:
                    ftp.prot_p()
            except _FAULTS as error:
                found = self._told(error)
                if str(error)[:3] in ACCOUNT:
                    raise login_refused(self.server, found) from None
                raise Unavailable("the FTP server cannot be used", where=self.server, found=found) from None
        self._ftp.begin(deadline)
        return self._ftp

    def _check_letters(self, letters: str, password: str) -> None:
        texts = {"the user of [photos] url": self._user, "the folder of [photos] url": self._folder}
        for what, text in {**texts, "the secret of [photos] password_file": password}.items():
            try:
                text.encode(letters)
            except UnicodeEncodeError:
                raise Unavailable(
                    f"{what} has letters that this FTP server does not know",
                    where=self.server,
                    found="no UTF8 among its features (FEAT)",
                    allowed="letters of Latin-1",
                    advice="enable UTF8 on the FTP server (RFC 2640), or choose plain letters",
                ) from None

    def _told(self, error: Exception) -> str:
        return self._password.hidden(error) or in_words(error)


class _Lacks(ftplib.Error):
    """The server does not have the command `verb`: trouble of the server, whatever the file."""

    def __init__(self, answer: str, verb: str) -> None:
        super().__init__(answer)
        self.verb = verb


class _Connection(ftplib.FTP_TLS):
    """A control connection, plain or TLS, whose commands are in UTF-8 where the server offers it, else in Latin-1."""

    def __init__(self, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        # Answers are read as Latin-1, which takes any byte
        super().__init__(context=tls, timeout=timeout_s, encoding="latin-1")
        self.letters = "latin-1"
        self._verb = ""

    def begin(self, deadline: Deadline) -> None:
        """The deadline of what follows."""
        self._deadline = deadline
        deadline.watch(lambda: self.sock)

    def choose_letters(self) -> bool | None:
        """Ask FEAT (RFC 2389) for UTF8 (RFC 2640): whether it is offered, None when that is told after login only."""
        try:
            answer = self.sendcmd("FEAT")
        except (ftplib.error_perm, _Lacks) as error:
            unsaid = str(error)[:3] in ACCOUNT
            # A server that knows FEAT is most likely one that knows UTF8
            self.letters = "utf-8" if unsaid else "latin-1"
            return None if unsaid else False
        offered = re.search(r"^\s*UTF-?8\b", answer, re.IGNORECASE | re.MULTILINE) is not None
        self.letters = "utf-8" if offered else "latin-1"
        if offered:
            # Older servers of Microsoft want to be told; others refuse it and speak UTF-8 all the same
            with contextlib.suppress(ftplib.error_perm, _Lacks):
                self.sendcmd("OPTS UTF8 ON")
        return offered

    def store(self, name: str, data: bytes) -> None:
        """STOR, in binary."""
        try:
            self.storbinary(f"STOR {name}", io.BytesIO(data))
        except (OSError, EOFError):
            # A server whose disk is full cuts the data connection; why, it says on the other one
            self.voidresp()
            raise

    def clear_way(self, file: str) -> _Lacks | None:
        """Make the file's folders and delete the file; the first fault of a server that has no command for it."""
        parts = file.split("/")
        folders = ["/".join(parts[:end]) for end in range(2, len(parts))]
        lacks = None
        for command, path in (*((self.mkd, folder) for folder in folders), (self.delete, file)):
            try:
                command(path)
            except _Lacks as error:
                lacks = lacks or error
            except ftplib.error_perm:
                continue
        return lacks

    def putline(self, line: str) -> None:
        """Send a command, in the letters that were chosen."""
        if "\r" in line or "\n" in line:
            raise ValueError("a command of several lines")
        self._verb = line.partition(" ")[0]
        assert self.sock is not None
        self.sock.sendall(f"{line}\r\n".encode(self.letters))

    def getline(self) -> str:
        """A line of an answer, which may be anything."""
        return super().getline().encode("latin-1").decode(errors="replace")

    def getresp(self) -> str:
        """An answer. Raises _Lacks when the server does not have the command, else what ftplib raises, with it."""
        try:
            return super().getresp()
        except (ftplib.error_perm, ftplib.error_temp) as error:
            answer = f"{error} (to {self._verb})"
            if str(error)[:3] in LACKS:
                raise _Lacks(answer, self._verb) from None
            raise type(error)(answer) from None

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """A data connection; it goes on with the TLS session of the control connection, which many servers want."""
        data, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if isinstance(self.sock, ssl.SSLSocket):
            data = self.context.wrap_socket(data, server_hostname=self.host, session=self.sock.session)
        self._deadline.watch(lambda: data)
        return data, size
