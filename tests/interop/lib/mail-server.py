"""A mail server (aiosmtpd) that takes letters into a file of JSON lines, and refuses some by their recipient's name.

    mail-server.py PORT FILE MODE [CERTIFICATE KEY USER PASSWORD]

MODE is starttls, tls or none. later@ is refused once for now, never@ for good.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

port, path, mode, *secured = sys.argv[1:]
context = None
if secured:
    certificate, key, user, password = secured
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)


def note(**what):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


class Letters:
    def __init__(self):
        self.put_off = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("never@"):
            return "550 5.1.1 nobody of that name"
        if address.startswith("later@") and address not in self.put_off:
            self.put_off.add(address)
            note(put_off=address)
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        note(
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            text=envelope.content.decode("utf-8"),
            tls=session.ssl is not None or mode == "tls",
            user=session.auth_data,
            host=session.host_name,
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (user.encode(), password.encode())
    note(login=good)
    return AuthResult(success=good, handled=False, auth_data=user if good else None)


letters = Letters()


def session():
    if not secured:
        return SMTP(letters, hostname="mail.test")
    return SMTP(
        letters,
        hostname="mail.test",
        tls_context=context if mode == "starttls" else None,
        require_starttls=mode == "starttls",
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=mode == "starttls",
    )


async def main():
    implicit = context if mode == "tls" else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", int(port), ssl=implicit)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
