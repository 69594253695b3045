# SPDX-License-Identifier: Apache-2.0
"""TLS: the same answers, however records are cut; certificates that change under load; client
certificates; what is no TLS."""

import json
import os
import random
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from harness import PATIENCE_S, Pump, Reader, Server, get, post
from test_stream import HEAD, Lines, chunk, finishes_in_a_drain

BODY = {"inputs": ["a good film", "not a good film at all"]}


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Authority:
    """Makes certificates in a directory."""

    def __init__(self, path: Path, name: str):
        self.path, self.cert, self.key = path, path / f"{name}.pem", path / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", str(self.key), "-out", str(self.cert))

    def issue(self, name: str, serial: int):
        key, request, cert = (self.path / f"{name}{end}" for end in (".key", ".csr", ".pem"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(request))
        openssl("x509", "-req", "-in", str(request), "-CA", str(self.cert), "-CAkey", str(self.key), "-days", "2",
                "-set_serial", str(serial), "-copy_extensions", "copy", "-out", str(cert))
        return cert, key


class Records:
    """A client that puts each request into a record of its own and sends them when it is told to."""

    def __init__(self, context, sock):
        self.sock, self.incoming, self.outgoing = sock, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(self.outgoing.read())
                self.incoming.write(sock.recv(65536))
        sock.sendall(self.outgoing.read())

    def record(self, data):
        self.tls.write(data)
        return self.outgoing.read()

    def recv(self, size):
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                data = self.sock.recv(65536)
                if not data:
                    return b""
                self.incoming.write(data)
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        cls.path = Path(cls.dir.name)
        cls.ca = Authority(cls.path, "ca")
        cls.cert, cls.key = cls.ca.issue("server", 1)
        cls.addClassCleanup(cls.dir.cleanup)

    def start(self, *options):
        server = Server("--tls-cert", str(self.cert), "--tls-key", str(self.key), *options)
        self.addCleanup(server.close)
        return server

    def context(self, client=None):
        c = ssl.create_default_context(cafile=str(self.ca.cert))
        if client:
            c.load_cert_chain(*map(str, client))
        return c

    def dial(self, server, context=None):
        s = (context or self.context()).wrap_socket(server.connect(), server_hostname="127.0.0.1")
        server.sockets.append(s)
        return s, Reader(s)


class Answers(Case):
    def test_both_versions_answer_as_plain_does(self):
        plain = Server()
        self.addCleanup(plain.close)
        s = plain.connect()
        s.sendall(post(BODY))
        want = Reader(s).answer().json
        server = self.start()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            c = self.context()
            c.minimum_version = c.maximum_version = version
            c.set_alpn_protocols(["h2", "http/1.1"])
            s, r = self.dial(server, c)
            self.assertEqual(s.selected_alpn_protocol(), "http/1.1")
            for _ in range(3):
                s.sendall(post(BODY) + get("/readyz"))  # pipelined
                self.assertEqual(r.answer().json, want)
                self.assertEqual(r.answer().status, 200)
            many = {"inputs": ["a good film " * 300] * 100}  # a body of many records, and an answer of some
            s.sendall(post(many))
            self.assertEqual(len(r.answer().json), 100)
        self.assertEqual(server.stop(), 0)

    def test_old_versions_and_no_tls_are_refused(self):
        server = self.start()
        c = self.context()
        c.minimum_version, c.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        c.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises(ssl.SSLError):
            self.dial(server, c)
        s = server.connect()
        s.sendall(post(BODY))
        data = b""
        try:
            while piece := s.recv(4096):
                data += piece
        except ConnectionResetError:
            pass
        self.assertNotIn(b"HTTP/1.1 200", data)
        with self.assertRaises(ssl.SSLError):
            self.dial(server, ssl.create_default_context())  # the control: trust is checked by the client
        s, r = self.dial(server)
        s.sendall(get("/metrics"))
        page = r.answer().body.decode()
        self.assertRegex(page, r'inferd_tls_handshakes_total\{result="ok"\} [1-9]')
        self.assertRegex(page, r'inferd_tls_handshakes_total\{result="failed"\} [2-9]')
        self.assertRegex(page, r"inferd_tls_certificate_expiry_timestamp_seconds \d{10}")
        self.assertEqual(server.stop(), 0)

    def memory_client(self, server, piece):
        """Everything in pieces of so many bytes, both ways."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        s = server.connect()

        def pump(step):
            while True:
                try:
                    result = step()
                    break
                except ssl.SSLWantReadError:
                    send()
                    incoming.write(s.recv(piece))
            send()
            return result

        def send():
            data = outgoing.read()
            for i in range(0, len(data), piece):
                s.sendall(data[i:i + piece])
                if piece == 1 and i % 64 == 0:
                    time.sleep(0.001)
        pump(tls.do_handshake)
        for _ in range(2):
            pump(lambda: tls.write(post(BODY)))
            data = b""
            while b"]\n" not in data:
                data += pump(lambda: tls.read(4096))
            self.assertIn(b"HTTP/1.1 200 OK", data)

    def test_records_cut_anywhere(self):
        server = self.start()
        for piece in (1, 7, 1000):
            self.memory_client(server, piece)
        self.assertEqual(server.stop(), 0)

    def test_a_client_that_reads_late(self):
        server = self.start("--max-inputs", "1500", "--max-queue", "1500", "--max-queue-tokens", "1000000")
        s, r = self.dial(server)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(3):
            s.sendall(post({"inputs": ["a"] * 1500, "parameters": {"top_k": 0}}))
        time.sleep(1)
        for _ in range(3):
            self.assertEqual(len(r.answer().json), 1500)
        self.assertEqual(server.stop(), 0)

    def test_a_drain(self):
        server = self.start()
        s, r = self.dial(server)
        idle, idle_reader = self.dial(server)
        request = post(BODY)
        s.sendall(request[:-5])
        time.sleep(0.1)
        server.signal()
        server.wait_for("draining")
        s.sendall(request[-5:])
        answer = r.answer()
        self.assertEqual((answer.status, answer.closes), (200, True))
        self.assertTrue(r.at_end())
        self.assertTrue(idle_reader.at_end())
        self.assertEqual(server.finish(), 0)

    def pipelined_in_a_drain(self, *requests):
        """Each request in a record of its own, all in one segment, to a server that drains; the answers."""
        server = self.start("--drain-delay", "2s")
        client = Records(self.context(), server.connect())
        server.signal()
        server.wait_for("draining")
        client.sock.sendall(b"".join(map(client.record, requests)))
        reader, answers = Reader(client), []
        while True:
            try:
                answers.append(reader.answer())
            except EOFError:
                break
        self.assertEqual(server.finish(), 0)
        return answers

    def test_a_drain_answers_what_was_pipelined(self):
        for first in (get("/livez"), post("["), post(BODY)):  # answered at once, refused, computed
            answers = self.pipelined_in_a_drain(first, get("/v2"), post(BODY))
            self.assertEqual([a.status for a in answers], [400 if first == post("[") else 200, 200, 200], first)
            self.assertEqual([a.closes for a in answers], [False, False, True])
        # the control: a connection that closes after its first answer is seen to lose the other
        answers = self.pipelined_in_a_drain(get("/livez", "Connection: close\r\n"), get("/v2"))
        self.assertEqual([(a.status, a.closes) for a in answers], [(200, True)])

    def test_a_drain_waits_for_the_rest_of_a_record(self):
        for sent in (3, 9):  # a part of its head; all of that, and a part of its body
            server = self.start("--drain-delay", "2s")
            client = Records(self.context(), server.connect())
            server.signal()
            server.wait_for("draining")
            one, two = client.record(get("/livez")), client.record(get("/v2"))
            reader = Reader(client)
            client.sock.sendall(one + two[:sent])
            answer = reader.answer()
            self.assertEqual((answer.status, answer.closes), (200, False))
            client.sock.sendall(two[sent:])
            answer = reader.answer()
            self.assertEqual((answer.status, answer.closes), (200, True))
            self.assertEqual(server.finish(), 0)

    def test_streams(self):
        """/infer/stream: lines of a body in many records are answered as over a plain connection."""
        texts = [f"text number {i} " + "word " * (i % 60) for i in range(600)]
        body = "".join(json.dumps(t) + "\n" for t in texts).encode()
        got = []
        for server in (Server(), self.start()):
            self.addCleanup(server.close)
            s = self.dial(server)[0] if got else server.connect()
            data = HEAD + b"".join(chunk(body[i:i + 1000]) for i in range(0, len(body), 1000)) + b"0\r\n\r\n"
            got.append(Lines(Pump(s, data, random.Random(1), 1000)).rest())
            s.settimeout(PATIENCE_S)
            s.sendall(get("/livez"))  # the connection goes on
            self.assertEqual(Reader(s).answer().status, 200)
            s.sendall(HEAD)
            for i in range(5):  # answers come while the body is open
                s.sendall(chunk(b'"text %d"\n' % i))
                lines = lines if i else Lines(s)
                self.assertEqual(lines.line()["index"], i)
            s.sendall(b"0\r\n\r\n")
            self.assertIsNone(lines.line())
            self.assertEqual(server.stop(), 0)
        self.assertEqual([g["index"] for g in got[0]], list(range(len(texts))))
        self.assertEqual(got[0], got[1])

    def test_a_drain_finishes_a_stream(self):
        server = self.start()
        finishes_in_a_drain(self, server, self.dial(server)[0])

    def test_an_unfinished_handshake_does_not_stay(self):
        limit_s = 8 if os.environ.get("IFD_TEST_EMULATED") else 0.3  # the second handshake must be done by then
        server = self.start("--header-timeout", f"{limit_s}s")
        s = server.connect()
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
        began = time.monotonic()
        try:
            self.assertEqual(s.recv(16), b"")
        except ConnectionResetError:
            pass
        self.assertLess(time.monotonic() - began, 30)
        t, r = self.dial(server)  # one that is done may be idle for longer
        time.sleep(limit_s + 0.7)
        t.sendall(get("/readyz"))
        self.assertEqual(r.answer().status, 200)
        self.assertEqual(server.stop(), 0)


class Certificates(Case):
    def test_a_certificate_changes_under_load(self):
        server = self.start()
        stop, failed, answered = threading.Event(), [], [0, 0, 0]

        def load(i):
            """0: one connection; others: a new one for each request."""
            try:
                s, r = self.dial(server)
                while not stop.is_set():
                    if i:
                        s.close()
                        s, r = self.dial(server)
                    s.sendall(post(BODY))
                    if r.answer().status != 200:
                        failed.append("status")
                    answered[i] += 1
            except Exception as e:  # noqa: BLE001 - any failure at all is one
                failed.append(repr(e))
        threads = [threading.Thread(target=load, args=(i,)) for i in range(3)]
        for t in threads:
            t.start()
        try:
            for serial in range(2, 5):
                cert, key = self.ca.issue(f"server{serial}", serial)
                os.replace(key, self.key)  # for a moment they do not fit: the old one stays
                os.replace(cert, self.cert)
                end = time.monotonic() + PATIENCE_S
                while int(self.dial(server)[0].getpeercert()["serialNumber"], 16) != serial:
                    self.assertLess(time.monotonic(), end, "the certificate is not read again")
                    time.sleep(0.1)
            bad = self.path / "bad"
            bad.write_text("no certificate", encoding="ascii")
            os.replace(bad, self.cert)
            server.wait_for("certificate not read again: the old one stays")
            self.assertEqual(int(self.dial(server)[0].getpeercert()["serialNumber"], 16), 4)
            end = time.monotonic() + PATIENCE_S
            while min(answered) <= 10 and not failed and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            stop.set()
            for t in threads:
                t.join()
            type(self).cert, type(self).key = self.ca.issue("server", 9)
        self.assertEqual(failed, [])
        self.assertGreater(min(answered), 10)
        self.assertGreaterEqual(len(server.events("certificate read")), 3)
        self.assertEqual(server.stop(), 0)

    def asks(self, server, context):
        """A refusal of the certificate may come after the client's side of the handshake is done."""
        try:
            s, r = self.dial(server, context)
            s.sendall(post(BODY))
            return r.answer().status
        except (ssl.SSLError, ConnectionError, EOFError):
            return None

    def test_client_certificates(self):
        server = self.start("--tls-client-ca", str(self.ca.cert))
        stranger = Authority(self.path, "other")
        self.assertEqual(self.asks(server, self.context(self.ca.issue("client", 20))), 200)
        self.assertIsNone(self.asks(server, self.context()))
        self.assertIsNone(self.asks(server, self.context(stranger.issue("stranger", 21))))
        self.assertEqual(server.stop(), 0)

    def test_files_that_do_not_fit_stop_the_start(self):
        other = self.ca.issue("another", 30)
        for options, part in ((("--tls-cert", self.cert), "--tls-key"),
                              (("--tls-cert", self.cert, "--tls-key", other[1]), "--tls-key"),
                              (("--tls-cert", "/nowhere", "--tls-key", self.key), "--tls-cert /nowhere"),
                              (("--tls-client-ca", self.ca.cert), "--tls-cert"),
                              (("--tls-cert", self.cert, "--tls-key", self.key, "--tls-client-ca", self.key),
                               "--tls-client-ca")):
            with self.assertRaises(AssertionError) as caught:
                Server(*map(str, options))
            self.assertIn(part, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
