"""pocket audit: what it shows of the trail, to whom, and that it goes on with what comes."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../process"))
from support import POCKET, PocketTest, main, wait_until

FOLDER = os.path.dirname(POCKET)
CLIENT = os.path.join(FOLDER, "scenario-client")


class AuditCommandTest(PocketTest):
    def start_service(self, log):
        self.environment["POCKET_SOCKET"] = f"{self.folder}/pocket.sock"
        os.makedirs(f"{self.folder}/models/secret/1")
        with open(f"{self.folder}/models/secret/1/model.null", "w", encoding="utf-8") as file:
            file.write("mode = 'echo'\n")
        with open(f"{self.folder}/pocketd.toml", "w", encoding="utf-8") as file:
            file.write(f"[access]\npublic = false\n[log]\n{log}\n")
            for tenant in ("camera", "shop"):
                file.write(f"[[socket]]\npath = '{self.folder}/{tenant}.sock'\ntenant = '{tenant}'\n"
                           f"[tenant.{tenant}]\n")
        service = subprocess.Popen(
            [os.path.join(FOLDER, "pocketd"), "--config", f"{self.folder}/pocketd.toml", "--socket",
             self.environment["POCKET_SOCKET"], "--models", f"{self.folder}/models"],
            env=self.environment, stderr=subprocess.DEVNULL)
        self.addCleanup(service.wait, 30)
        self.addCleanup(service.send_signal, signal.SIGTERM)
        wait_until(lambda: self.pocket("service", "status").returncode == 0, "the service")

    def refuse(self, tenant):
        environment = dict(self.environment, POCKET_SOCKET=f"{self.folder}/{tenant}.sock")
        done = subprocess.run([CLIENT, "secret", "1"], env=environment, capture_output=True, timeout=60,
                              check=False)
        self.assertNotEqual(done.returncode, 0)

    def records(self, *arguments):
        done = self.pocket("audit", "--json", "-", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_shows_the_newest_of_whom_it_is_asked_for(self):
        self.start_service(f"format = 'json'\naudit = '{self.folder}/audit'")
        for tenant in ("camera", "shop", "camera"):
            self.refuse(tenant)
        self.assertEqual([record["tenant"] for record in self.records()], ["camera", "shop", "camera"])
        self.assertEqual([record["tenant"] for record in self.records("-n", "2")], ["shop", "camera"])
        only = self.records("--tenant", "shop")
        self.assertEqual([(record["kind"], record["what"]) for record in only], [("permission", "OpenModel")])
        shown = self.pocket("audit", "--tenant", "shop")
        self.assertEqual(shown.stdout.count("\n"), 1)
        self.assertRegex(shown.stdout, r"permission +PERMISSION_DENIED +shop .*: OpenModel: tenant 'shop' may not")
        # Whoever may not administer is not told where it is.
        done = self.pocket("audit", "--socket", f"{self.folder}/shop.sock")
        self.assert_refused(done, 1, "administrators")
        self.assertNotIn(self.folder, done.stderr)
        self.assert_refused(self.pocket("audit", "--file", f"{self.folder}/none"), 1, "none")

    def test_follows_text_too(self):
        self.start_service(f"audit = '{self.folder}/audit'")
        self.refuse("shop")
        followed = self.start("audit", "-f", "--json", "--tenant", "camera")
        self.addCleanup(followed.communicate)
        self.addCleanup(followed.kill)

        def expect_camera():
            record = json.loads(followed.stdout.readline())
            self.assertEqual((record["tenant"], record["count"]), ("camera", 1))

        self.refuse("shop")
        self.refuse("camera")
        expect_camera()  # from here on it follows, however late it started
        os.rename(f"{self.folder}/audit", f"{self.folder}/audit.1")
        self.assertEqual(self.pocket("reload").returncode, 0)
        self.refuse("camera")
        expect_camera()
        self.assertEqual(len(self.records("--file", f"{self.folder}/audit.1")), 3)

    def test_a_service_without_a_trail_says_so(self):
        self.start_service("")
        self.assert_refused(self.pocket("audit"), 1, "log", "`audit` in [log]")


if __name__ == "__main__":
    main()
