"""CloudFormation's response bucket, which receives the answers of custom resources.

On AWS, the response URL is a presigned S3 URL in a bucket of CloudFormation. Here, a TLS listener
on loopback replaces that bucket, with its real host name and a temporary certificate authority.
Only Lambda workers resolve the name and trust the authority (`lambda_worker`). The listener behaves
like S3 for a presigned PUT whose only signed header is `host`. It accepts a PUT to a signed URL
until the URL expires, and answers 403 to everything else. Content-Type is not signed, so S3 accepts
it. It is recorded for tests, because AWS advises to send none.
"""

import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EXPIRES_SECONDS = 7199  # seen on every captured URL
_SETTINGS = {"unavailable", "drop", "issued_ago"}
_SIGNER = Credentials("AKIACLOUDFORMATIONLOC", "signs nothing but response addresses")

Receive = Callable[[bytes], None]


@dataclass(frozen=True)
class _Address:
    target: str  # path and query, as signed
    expires: float  # epoch seconds
    receive: Receive


@dataclass
class ResponseBucket:
    """The listener and its signed URLs."""

    region: str
    certificate_authority: Path
    port: int = 0
    clock: Callable[[], float] = time.time
    unavailable: int = 0
    """How many of the next PUTs are answered `unavailable_status`."""
    unavailable_status: int = 503
    drop: int = 0
    """How many of the next PUTs are read and stored, and their connection closed unanswered."""
    issued_ago: float = 0
    """How many seconds ago an address is said to be signed: of a request that is delivered late."""
    stop: Callable[[], None] = lambda: None
    """Closes the listener."""
    puts: list[dict[str, Any]] = field(default_factory=list)
    """Every PUT: its status (0: dropped), size in bytes and content type (null: none)."""
    _addresses: dict[str, _Address] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        """The bucket's host name in response URLs."""
        return self.hosts[0]

    @property
    def hosts(self) -> tuple[str, str]:
        """The bucket's host names: the regional one and the global one."""
        bucket = f"cloudformation-custom-resource-response-{self.region.replace('-', '')}"
        return f"{bucket}.s3.{self.region}.amazonaws.com", f"{bucket}.s3.amazonaws.com"

    def address(self, key: str, receive: Receive) -> str:
        """Return a signed URL for `key`; each PUT to it calls `receive` with the body."""
        url = f"https://{self.host}/{quote(key, safe='')}"
        request = AWSRequest(method="PUT", url=url)
        S3SigV4QueryAuth(_SIGNER, "s3", self.region, expires=EXPIRES_SECONDS).add_auth(request)
        # No code verifies the signature, because the signed URLs are stored.
        issued = datetime.now(UTC) - timedelta(seconds=self.issued_ago)
        stamp = f"X-Amz-Date={issued:%Y%m%dT%H%M%SZ}"
        signed = re.sub(r"X-Amz-Date=\w+", stamp, str(request.url))
        target = signed.removeprefix(f"https://{self.host}")
        with self._lock:
            expires = self.clock() + EXPIRES_SECONDS - self.issued_ago
            self._addresses[target.partition("?")[0]] = _Address(target, expires, receive)
        return signed

    def put(self, target: str, body: bytes, content_type: str | None) -> int:
        """Handle a PUT as S3 does and return the HTTP status, 0 to drop the connection."""
        with self._lock:
            address = self._addresses.get(target.partition("?")[0])
            if self.unavailable:
                self.unavailable -= 1
                status = self.unavailable_status
            elif not address or address.target != target or self.clock() > address.expires:
                status = 403
            elif self.drop:
                self.drop -= 1
                status = 0
            else:
                status = 200
            self.puts.append({"status": status, "bytes": len(body), "content_type": content_type})
        if address and status in (0, 200):
            address.receive(body)
        return status

    def control(self, method: str, body: Any, _query: Mapping[str, list[str]]) -> Any:
        """Serve `/_local/response-bucket`: PUT sets `unavailable`, `drop`, `issued_ago`.

        Always returns all settings.

        Raises:
            ValueError: the PUT is invalid.

        """
        if method == "PUT":
            if not isinstance(body, dict) or not body.keys() <= _SETTINGS:
                raise ValueError(
                    'PUT {"unavailable": <count>, "drop": <count>, "issued_ago": <seconds>}, or '
                    "some of them"
                )
            self.unavailable = int(body.get("unavailable", self.unavailable))
            self.drop = int(body.get("drop", self.drop))
            self.issued_ago = float(body.get("issued_ago", self.issued_ago))
        return {
            "unavailable": self.unavailable,
            "drop": self.drop,
            "issued_ago": self.issued_ago,
            "puts": self.puts,
            "hosts": self.hosts,
            "port": self.port,
            "certificate_authority": str(self.certificate_authority),
        }


def start(directory: Path, region: str) -> ResponseBucket:
    """Start the listener on a free loopback port; its certificates are written to `directory`."""
    bucket = ResponseBucket(region, directory / "response-bucket-ca.pem")
    server_certificate = directory / "response-bucket.pem"
    _write_certificates(bucket.hosts, bucket.certificate_authority, server_certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_certificate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def setup(self) -> None:
            # Here, in the connection's thread: a slow handshake must not hold up the others.
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def finish(self) -> None:
            super().finish()
            self.request.close()  # the server has only the underlying socket

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status = bucket.put(self.path, body, self.headers.get("Content-Type"))
            if status == 0:
                self.close_connection = True
                return
            self._answer(status)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self._answer(403)

        do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - names of http.server

        def log_message(self, *_: Any) -> None:
            pass  # a response URL is a credential, so it must not be logged

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    bucket.port = server.server_address[1]
    listening = threading.Thread(target=server.serve_forever, name="response-bucket", daemon=True)
    listening.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        listening.join()

    bucket.stop = stop
    return bucket


def _write_certificates(hosts: Sequence[str], authority_path: Path, server_path: Path) -> None:
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "throw-away authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "response bucket")])
    now = datetime.now(UTC)

    def build(
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *extensions: tuple[x509.ExtensionType, bool],
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .issuer_name(authority)
            .subject_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=7))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(authority_key, hashes.SHA256())

    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    usage = x509.KeyUsage(
        key_cert_sign=True,
        digital_signature=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    root = build(
        authority,
        authority_key,
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (identifier, False),
        (usage, True),
    )
    leaf = build(
        subject,
        server_key,
        (x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (issuer, False),
    )
    pem = serialization.Encoding.PEM
    authority_path.write_bytes(root.public_bytes(pem))
    key = server_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server_path.touch(mode=0o600)
    server_path.write_bytes(key + leaf.public_bytes(pem))
