"""pocket models fetch, build, lock and verify; what pocketd makes of a lock; pocket inspect."""
import glob
import hashlib
import http.server
import json
import os
import sys
import threading
import tomllib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../process"))
from support import PocketTest, main, read

ECHO = ("mode = 'echo'\n[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [4]\n"
        "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [4]\n")


class Files(http.server.BaseHTTPRequestHandler):
    """Serves `content`, from where it is asked to go on; ends the connection after `cut` bytes."""
    content, cut, ranges, asked = b"", None, True, []
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        begin = 0
        asked = self.headers.get("Range")
        Files.asked.append(asked)
        if self.path != "/model":
            self.send_error(404)
            return
        if asked and Files.ranges:
            begin = int(asked.removeprefix("bytes=").split("-")[0])
        if begin >= len(Files.content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            size = len(Files.content)
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.send_header("Content-Length", str(len(Files.content) - begin))
        self.end_headers()
        rest = Files.content[begin:]
        self.wfile.write(rest if Files.cut is None else rest[:Files.cut])
        self.close_connection = True

    def log_message(self, *_):
        pass


class ModelsTest(PocketTest):
    def setUp(self):
        super().setUp()
        Files.content, Files.cut, Files.ranges, Files.asked = ECHO.encode(), None, True, []
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.address = f"http://127.0.0.1:{server.server_port}"
        self.models = f"{self.folder}/models"
        os.makedirs(self.models)
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            self.environment.pop(name, None)

    def write(self, name, text):
        path = f"{self.folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def catalogue(self, url, digest=None):
        digest = digest or hashlib.sha256(Files.content).hexdigest()
        return self.write("catalogue.toml", f"""version = 1
[[model]]
name = 'got'
description = 'a "test"'
licence = 'MIT'
source = 'this test'
settings = 'threads = 1'
[[model.file]]
path = '1/model.null'
url = '{url}'
sha256 = '{digest}'
""")

    def fetch(self, catalogue, *more):
        return self.pocket("models", "fetch", "got", "--models", self.models, "--catalogue", catalogue,
                           *more)

    def models_command(self, command, *more):
        return self.pocket("models", command, "--models", self.models, *more)

    def left(self):
        return sorted(os.listdir(self.models))

    def test_fetched_locked_and_verified(self):
        catalogue = self.catalogue(self.address + "/model")
        done = self.fetch(catalogue)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(read(f"{self.models}/got/1/model.null"), ECHO)
        self.assertIn("licence = ", read(f"{self.models}/got/model.toml"))
        self.assertEqual(self.left(), ["got", "models.lock"])
        self.assertIn(hashlib.sha256(ECHO.encode()).hexdigest(), read(f"{self.models}/models.lock"))
        done = self.models_command("verify")
        self.assertEqual((done.returncode, done.stdout.split()[:2]), (0, ["ok", "got"]), done.stderr)
        again = self.fetch(catalogue)
        self.assertEqual(again.returncode, 1)
        self.assertIn("--force", again.stderr)
        self.assertEqual(self.fetch(catalogue, "--force").returncode, 0)

    def test_a_download_goes_on_where_it_was_cut(self):
        Files.content = os.urandom(300_000)
        catalogue = self.catalogue(self.address + "/model")
        Files.cut = 100_000
        done = self.fetch(catalogue)
        self.assertEqual(done.returncode, 1)
        self.assertIn("100000 bytes are kept", done.stderr)
        self.assertEqual(self.left(), [".downloads"])
        Files.cut = None
        done = self.fetch(catalogue)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(Files.asked, [None, "bytes=100000-"])
        with open(f"{self.models}/got/1/model.null", "rb") as file:
            self.assertEqual(file.read(), Files.content)
        self.assertEqual(self.left(), ["got", "models.lock"])

    def test_a_server_that_cannot_go_on_is_asked_for_all_of_it(self):
        Files.content = os.urandom(200_000)
        catalogue = self.catalogue(self.address + "/model")
        Files.cut = 50_000
        self.assertEqual(self.fetch(catalogue).returncode, 1)
        Files.cut, Files.ranges = None, False
        done = self.fetch(catalogue)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(f"{self.models}/got/1/model.null", "rb") as file:
            self.assertEqual(file.read(), Files.content)

    def test_what_is_not_the_wanted_file_is_thrown_away(self):
        done = self.fetch(self.catalogue(self.address + "/model", "0" * 64))
        self.assertEqual(done.returncode, 1)
        self.assertIn(hashlib.sha256(ECHO.encode()).hexdigest(), done.stderr)
        self.assertFalse(os.path.exists(f"{self.models}/got"))
        self.assertFalse(os.path.exists(f"{self.models}/.downloads/{'0' * 64}.part"))
        self.assertFalse(os.path.exists(f"{self.models}/models.lock"))

    def test_errors_say_what_to_do(self):
        missing = self.fetch(self.catalogue(self.address + "/other"))
        self.assertEqual(missing.returncode, 1)
        self.assertIn("404", missing.stderr)
        nobody = self.fetch(self.catalogue("http://127.0.0.1:1/model"))
        self.assertEqual(nobody.returncode, 1)
        self.assertIn("127.0.0.1", nobody.stderr)
        self.assertIn("pocket models lock", nobody.stderr)
        unknown = self.pocket("models", "fetch", "gott", "--models", self.models, "--catalogue",
                              f"{self.folder}/catalogue.toml")
        self.assertIn("did you mean 'got'", unknown.stderr)
        built = self.pocket("models", "fetch", "resnet50", "--models", self.models)
        self.assertIn("pocket models build resnet50", built.stderr)
        bad = self.write("bad.toml", "version = 1\n[[model]]\nname = 'x'\nsize = 3\n")
        self.assertIn("line 4: unknown key 'size'", self.fetch(bad).stderr)

    def test_the_apps_models_are_in_pockets_own_catalogue(self):
        tools = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools")
        with open(f"{tools}/../share/pocket/catalogue.toml", "rb") as file:
            models = {model["name"]: model for model in tomllib.load(file)["model"]}
        for name in ("mobilenetv2", "resnet50", "all_minilm_l6_v2", "small_bert_l4_h512_a8",
                     "ssdmobilenetv2_320x320", "ssdresnet50v1_640x640", "talkheads_ggelu_bert_en_base"):
            self.assertIn(name, models)
        for name, model in models.items():
            for file in [model[key] for key in ("build", "requirements") if key in model]:
                self.assertTrue(os.path.isfile(f"{tools}/{file}"), f"{name}: {file}")
            if model.get("build") == "build-app-model":
                scripts = [read(path) for path in glob.glob(f"{tools}/app-models/*/build.py")]
                self.assertTrue(any(f'"{name}": build_' in script for script in scripts), name)

    def test_verify_names_what_differs(self):
        self.write("models/cat/1/model.null", ECHO)
        self.assertEqual(self.models_command("lock").returncode, 0)
        self.write("models/dog/1/model.null", ECHO)
        self.write("models/cat/1/model.null", ECHO + "# changed\n")
        done = self.models_command("verify", "--json")
        self.assertEqual(done.returncode, 1)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["unlocked"], ["dog version 1"])
        self.assertEqual([model["state"] for model in answer["models"]], ["differs"])
        self.assertIn("cat/1/model.null", answer["models"][0]["differences"][0])
        self.write("models/models.lock", "version = 9\n")
        self.assertIn("version 9", self.models_command("verify").stderr)
        self.assertEqual(self.models_command("lock").returncode, 0)
        self.assertEqual(self.models_command("verify").returncode, 0)

    def test_the_service_refuses_what_the_lock_does_not_know(self):
        self.write("models/cat/1/model.null", ECHO)
        self.write("models/cat/model.toml", "licence = 'MIT'\nsource = 'here'\n")
        self.assertEqual(self.models_command("lock").returncode, 0)
        self.write("models/dog/1/model.null", ECHO)
        self.environment["POCKET_SOCKET"] = f"{self.folder}/pocket.sock"
        done = self.pocket("service", "run", "-d", "--models", self.models)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(self.pocket, "service", "kill")
        facts = json.loads(self.pocket("inspect", "cat", "--engine", "null", "--json").stdout)
        self.assertEqual((facts["licence"], facts["source"], facts["locked"]), ("MIT", "here", True))
        self.assertEqual(facts["sha256"], hashlib.sha256(ECHO.encode()).hexdigest())
        self.assertGreater(facts["memory_bytes"], 0)
        self.assertGreater(facts["load_ms"], 0)
        self.assertEqual([each["name"] for each in facts["inputs"]], ["x"])
        text = self.pocket("inspect", "cat", "--engine", "null").stdout
        self.assertIn("as in models.lock", text)
        self.assertEqual(self.pocket("models", "load", "dog", "--engine", "null").returncode, 0)
        self.write("models/cat/1/model.null", ECHO + "# changed\n")
        refused = self.pocket("models", "load", "cat", "--engine", "null")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("models.lock", refused.stderr)
        self.assertIn("pocket models verify", refused.stderr)


if __name__ == "__main__":
    main()
