#include "raw_client.h"

#include <thread>

namespace pocket::testing {
namespace {

constexpr uint64_t kPatienceNs = 20 * kNanosecondsPerSecond;

}  // namespace

Result<RawClient> RawClient::connect(const std::string& socket) {
  POCKET_ASSIGN_OR_RETURN(UniqueFd connected, ipc::connect_control(socket, kPatienceNs));
  return RawClient(std::move(connected));
}

Result<RawClient> RawClient::greeted(const std::string& socket) {
  POCKET_ASSIGN_OR_RETURN(RawClient client, connect(socket));
  wire::control::HelloT hello;
  hello.version_min = wire::kProtocolVersionMin;
  hello.version_max = wire::kProtocolVersionMax;
  hello.client_name = "test";
  POCKET_ASSIGN_OR_RETURN(const auto welcome, client.ask(std::move(hello)));
  if (welcome.body.AsWelcome() == nullptr) return Error{POCKET_INTERNAL, "no welcome"};
  return client;
}

Result<wire::control::MessageT> RawClient::hear() {
  POCKET_ASSIGN_OR_RETURN(const auto packet,
                          ipc::receive_packet_until(socket_.get(), deadline_after(kPatienceNs)));
  return wire::decode_message(packet.bytes);
}

Result<wire::control::StatusT> service_status(const std::string& socket) {
  POCKET_ASSIGN_OR_RETURN(RawClient client, RawClient::greeted(socket));
  POCKET_ASSIGN_OR_RETURN(auto answer, client.ask(wire::control::GetStatusT{}));
  if (auto* status = answer.body.AsStatus()) return std::move(*status);
  return Error{POCKET_INTERNAL, "the service did not tell its status"};
}

bool eventually(const std::function<bool()>& condition) {
  const uint64_t end = deadline_after(kPatienceNs);
  while (!condition()) {
    if (monotonic_ns() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace pocket::testing
