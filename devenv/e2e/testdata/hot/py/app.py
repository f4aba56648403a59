import http.server, os, signal, sys
sys.path.insert(0, "/app")
from lib import v
signal.signal(signal.SIGTERM, lambda *a: os._exit(0))
conf = [open("/app/conf.txt").read()]
signal.signal(signal.SIGHUP, lambda *a: conf.__setitem__(0, open("/app/conf.txt").read()))
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/code": body = "code-1 " + v.V
        elif self.path == "/conf": body = conf[0]
        elif self.path == "/env": body = os.environ.get("BUILT", "")
        else: body = open("/app/static" + self.path).read()
        self.send_response(200); self.end_headers(); self.wfile.write(body.encode())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("", 8080), H).serve_forever()
