#include "fixture.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pocket::testing {

namespace control = wire::control;

TenantsTest::TenantsTest() : config_(service_.folder() + "/pocketd.toml") {
  service_.add_null_model("echo", kEcho);
  service_.add_null_model("slow", kSlowEcho);
  service_.add_null_model("secret", kEcho);
  service_.add_null_model("busy", std::string("busy_us = 50000\n") + kEcho);
  write_file(service_.models() + "/secret/model.toml", "public = false\n");
  ::chmod(service_.folder().c_str(), 0755);  // other users come through it
}

std::string TenantsTest::own_socket(const std::string& tenant) const {
  return "[[socket]]\npath = '" + socket_of(tenant) + "'\nmode = 0o666\ntenant = '" + tenant +
         "'\n";
}

void TenantsTest::start() { ASSERT_TRUE(service_.start({"--config", config_})) << service_.log(); }

control::TenantEntryT TenantsTest::tenant(const std::string& name) const {
  const auto status = service_status(service_.socket());
  EXPECT_TRUE(status.ok());
  for (const auto& entry : status->tenants) {
    if (entry->name == name) return *entry;
  }
  ADD_FAILURE() << "the service knows no tenant '" << name << "'";
  return {};
}

Outcome TenantsTest::failure_of(const std::string& socket,
                                const std::function<Result<control::MessageT>(RawClient&)>& ask) {
  auto client = RawClient::greeted(socket);
  if (!client.ok()) return {client.error().code, client.error().message};
  const auto answer = ask(*client);
  if (!answer.ok()) return {answer.error().code, answer.error().message};
  const auto* failed = answer->body.AsFailed();
  return failed == nullptr ? Outcome{} : Outcome{failed->status, failed->message};
}

int TenantsTest::as_user(uid_t user, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool changed = ::setgroups(0, nullptr) == 0 && ::setresgid(user, user, user) == 0 &&
                         ::setresuid(user, user, user) == 0;
    int status = 255;
    try {
      if (changed) status = body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "as user %u: %s\n", user, error.what());
    }
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

}  // namespace pocket::testing
