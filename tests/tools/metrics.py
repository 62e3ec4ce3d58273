#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a server shows over HTTP: for test_metrics.sh.

  metrics.py WHAT URL [ARGUMENT...]     WHAT: one of those at the end
  metrics.py stalls SE_SERVERD MODEL
"""
import ctypes
import os
import re
import socket
import struct
import subprocess
import sys
import time

import exposition

DEADLINE_S = 10


def connect(url):
    host, _, port = url.split('//')[1].split('/')[0].rpartition(':')
    return socket.create_connection((host.strip('[]'), int(port)), timeout=DEADLINE_S)


def read_all(link):
    parts = []
    while True:
        try:
            part = link.recv(65536)
        except ConnectionResetError: # it closed with bytes of ours unread
            part = b''
        if not part:
            return b''.join(parts)
        parts.append(part)


def ask(url, request):
    """(status, headers by name in small letters, body), or None for an end without an answer."""
    with connect(url) as link:
        try:
            link.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass
        head, _, body = read_all(link).partition(b'\r\n\r\n')
    lines = head.decode('latin-1').split('\r\n')
    match = re.fullmatch(r'HTTP/1\.[01] (\d{3}) .+', lines[0])
    if not match:
        return None
    return int(match.group(1)), {k.lower(): v for k, v in (l.split(': ', 1) for l in lines[1:])}, body


def get(url, path, method='GET', more=''):
    return ask(url, ('%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n' % (method, path, more)).encode())


def scrape(url):
    status, headers, body = get(url, '/metrics')
    assert status == 200 and headers['content-type'] == 'text/plain; version=0.0.4; charset=utf-8', headers
    assert len(body) == int(headers['content-length'])
    text = body.decode()
    return text, exposition.read(text)


def value(families, name):
    samples = families[re.sub('_(sum|count)$', '', name) if name not in families else name].samples
    (found,) = [v for n, labels, v in samples if n == name]
    return found


def page(name):
    """The page of counters, by label."""
    with open('/dev/shm/' + name, 'rb') as file:
        data = file.read()
    magic, version, n = struct.unpack_from('<8sII', data)
    assert magic.startswith(b'SE-STAT') and version == 1
    labels = [data[64 * (1 + i):][:56].rstrip(b'\0').decode() for i in range(n)]
    return {label: struct.unpack_from('<Q', data, 64 * (1 + n + i))[0] for i, label in enumerate(labels)}


def starting(url):
    status, _, body = get(url, '/healthz')
    assert status == 503 and body == b'starting: loads the model\n', (status, body)
    _, families = scrape(url)
    assert value(families, 'specedge_ready') == 0 and 'specedge_tokens_total' not in families


def pages(url):
    """Each path and method."""
    assert get(url, '/healthz')[::2] == (200, b'ok\n')
    assert get(url, '/')[0] == 200 and b'/metrics' in get(url, '/')[2]
    assert get(url, '/metrics?a=b')[0] == 200
    for path in ['/metric', '/metrics/', '//', '/healthz/x', '/../etc/passwd', '/%0a', '/' + 'a' * 4000]:
        status, _, body = get(url, path)
        assert status == 404 and body == b'not here: /metrics, /healthz\n', (path, status, body)
    for method in ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'NONSENSE']:
        status, headers, _ = get(url, '/metrics', method, 'Content-Length: 0\r\n')
        assert status == 405 and headers['allow'] == 'GET, HEAD', (method, status, headers)
    for path, wanted in [('/metrics', 200), ('/healthz', 200), ('/', 200), ('/x', 404)]:
        status, headers, body = get(url, path, 'HEAD')
        assert status == wanted and body == b'' and int(headers['content-length']) > 0, (path, status)
    with connect(url) as link: # two questions on one connection
        link.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
                     b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        assert read_all(link).count(b'HTTP/1.1 200') == 2


def hostile(url):
    """Nonsense gets an answer of 4xx, 501 or 505, or an end; after all of it everything is as before."""
    requests = [b'\r\n' * 3000, b'\0' * 100, b'GET', b'GET /metrics\r\n\r\n', b'GET /metrics HTTP/9.9\r\n\r\n',
                b'GET /' + b'a' * 100000 + b' HTTP/1.1\r\n\r\n',
                b'GET /metrics HTTP/1.1\r\n' + b'X: y\r\n' * 20000 + b'\r\n',
                b'GET /metrics HTTP/1.1\r\nHost: ' + b'x' * 100000 + b'\r\n\r\n',
                b'POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n' + b'x' * 100000,
                b'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx',
                b'GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345',
                b'GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
                bytes(range(256)) * 40, b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'\xaa' * 500]
    for request in requests:
        with connect(url) as link:
            try:
                link.sendall(request)
                link.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            answer = read_all(link)
        first = answer[:12]
        assert not answer or re.match(rb'HTTP/1\.[01] (4\d\d|501|505|200)', first), (request[:60], answer[:200])
    slow = [connect(url) for _ in range(200)]
    beginnings = [b'', b'GET /metrics HTTP/1.1\r\nHost: x', b'\r\n' * 3000, b'\0' * 100]
    for i, link in enumerate(slow):
        try:
            link.sendall(beginnings[i % len(beginnings)])
        except OSError: # shown out already
            pass
    begun = time.monotonic()
    unread = [] # asks, and does not read
    for _ in range(20):
        link = connect(url)
        link.sendall(b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' * 100)
        unread.append(link)
    for _ in range(20):
        scrape(url)
    assert time.monotonic() - begun < 5, 'slow ones keep others waiting'
    for link in slow + unread:
        link.close()
    pages(url)


def agree(url, name):
    """Metrics and the page of counters tell the same of a server that rests."""
    text, families = scrape(url)
    counters = page(name)
    pairs = {'tokens_total': 'tokens', 'rounds_total': 'rounds', 'steps_total': 'steps', 'kv_pages': 'kv_pages',
             'drafted_tokens_total': 'drafted', 'accepted_tokens_total': 'accepted', 'step_rows_sum': 'step_rows',
             'prefilled_tokens_total': 'prefilled', 'sessions_opened_total': 'sessions_opened',
             'received_frames_total': 'frames_in', 'verify_tokens_sum': 'verify_tokens'}
    for metric, label in pairs.items():
        assert value(families, 'specedge_' + metric) == counters[label] > 0, (metric, label)
    parts = {'step_duration_seconds_sum': ('step_ns', 1e9), 'queue_wait_seconds_sum': ('queue_ns', 1e9),
             'verify_accepted_ratio_sum': ('accepted_ppm', 1e6)}
    for metric, (label, unit) in parts.items():
        assert abs(value(families, 'specedge_' + metric) - counters[label] / unit) < 1e-9 < counters[label], metric
    # What keys have had is counted apart.
    families = {name: f for name, f in families.items() if not name.startswith('specedge_key_')}
    histograms = [f.name for f in families.values() if f.kind == 'histogram']
    buckets = sum(len(families[name].samples) - 2 for name in histograms)
    # version, start and readiness are no counters; a histogram is its buckets and a sum.
    assert len(families) - 3 + buckets == len(counters), 'a counter is missing'
    for name in histograms:
        shown = [v for n, _, v in families[name].samples if n.endswith('_bucket')]
        assert shown[-1] > 0, name
    assert value(families, 'specedge_step_rows_count') == value(families, 'specedge_step_duration_seconds_count') \
        == counters['steps']
    assert value(families, 'specedge_queue_wait_seconds_count') == counters['rounds']
    assert value(families, 'specedge_ready') == 1
    assert abs(value(families, 'process_start_time_seconds') - time.time()) < 600
    (info,) = families['specedge_build_info'].samples
    assert sorted(info[1]) == ['backend', 'model', 'version'] and info[1]['model'] == 'tales-draft', info
    assert info[1]['backend'].startswith('cpu') and info[2] == 1, info
    sys.stdout.write(text)


def tokens(url):
    print(int(value(scrape(url)[1], 'specedge_tokens_total')))


class Stopped:
    """One thread of a child stands still, and the others go on: what no signal can do."""
    SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000

    def __init__(self, pid, name):
        self.libc, self.thread = ctypes.CDLL(None, use_errno=True), None
        end = time.monotonic() + DEADLINE_S
        while self.thread is None:
            assert time.monotonic() < end, 'no thread %s' % name
            for thread in os.listdir('/proc/%d/task' % pid):
                with open('/proc/%d/task/%s/comm' % (pid, thread)) as comm:
                    if comm.read() == name + '\n':
                        self.thread = int(thread)

    def trace(self, request):
        if self.libc.ptrace(ctypes.c_long(request), self.thread, None, None) < 0:
            raise OSError(ctypes.get_errno(), 'ptrace')

    def __enter__(self):
        self.trace(self.SEIZE)
        self.trace(self.INTERRUPT)
        os.waitpid(self.thread, self.WALL)

    def __exit__(self, *_):
        self.trace(self.DETACH)


def await_health(url, wanted, seconds):
    end = time.monotonic() + seconds
    while get(url, '/healthz')[::2] != wanted:
        assert time.monotonic() < end, (get(url, '/healthz'), wanted)
        time.sleep(0.2)


def stalls(program, model):
    """A server whose thread stands still says so, and is well again when it goes on."""
    server = subprocess.Popen([program, '-m', model, '--threads', '1', '--listen', 'tcp://127.0.0.1:0', '--stat', '',
                               '--metrics', '127.0.0.1:0'], stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stderr:
            if ': metrics on ' in line:
                url = line.split()[-1].removesuffix('/metrics')
            if ': listening on ' in line:
                break
        await_health(url, (200, b'ok\n'), DEADLINE_S)
        try:
            with Stopped(server.pid, 'se-server'):
                began = time.monotonic()
                await_health(url, (503, b"failed: the server's thread has stood still for ten seconds\n"), 20)
                assert time.monotonic() - began > 8
                assert scrape(url) # the numbers are shown all the same
        except PermissionError:
            print('skipped: ptrace is not allowed here, so no thread was made to stand still')
        else:
            await_health(url, (200, b'ok\n'), DEADLINE_S)
        server.terminate()
        assert server.wait(DEADLINE_S) == 0
    finally:
        server.kill()
        server.wait()


def main():
    exposition.try_the_reader()
    known = {f.__name__: f for f in (starting, pages, hostile, agree, tokens, stalls)}
    known[sys.argv[1]](*sys.argv[2:])


main()
