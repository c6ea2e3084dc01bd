#include "daemon/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/checked.h"
#include "daemon/descriptors.h"
#include "ipc/liveness.h"
#include "ipc/region.h"
#include "wire/layout.h"

namespace pocket::daemon {
namespace {

constexpr uint64_t kPage = 4096;
// Channels that are being made may use some of what new clients are refused.
constexpr uint64_t kReserve = kReservedDescriptors - 40;

/// Opens the region anew, for reading only: its holder cannot map it writable.
Result<UniqueFd> reopen_read_only(const UniqueFd& region) {
  const std::string path = "/proc/self/fd/" + std::to_string(region.get());
  UniqueFd copy(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!copy.valid()) return errno_error("opening a region for reading", errno);
  return copy;
}

template <typename Header>
Result<Mapping> write_header(const UniqueFd& region, uint32_t magic) {
  POCKET_ASSIGN_OR_RETURN(Mapping mapping,
                          Mapping::map(region.get(), kPage, MapAccess::kReadWrite));
  auto* header = reinterpret_cast<Header*>(mapping.data());
  header->magic = magic;
  header->version = wire::kLayoutVersion;
  return mapping;
}

}  // namespace

Result<UniqueFd> duplicate(const UniqueFd& fd) {
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return errno_error("duplicating a descriptor", errno);
  return copy;
}

Result<RegionPair> create_regions(uint64_t request_bytes, uint64_t response_bytes) {
  const auto request = checked_align_up(request_bytes, kPage);
  const auto response = checked_align_up(response_bytes, kPage);
  if (!request || !response) return Error{POCKET_INVALID_ARGUMENT, "a region size is too large"};
  RegionPair pair;
  pair.request_bytes = *request;
  pair.response_bytes = *response;
  POCKET_ASSIGN_OR_RETURN(pair.request, ipc::create_region("pocket-request", *request));
  POCKET_RETURN_IF_ERROR(check_descriptors_left(pair.request.get(), kReserve));
  POCKET_ASSIGN_OR_RETURN(pair.request_read_only, reopen_read_only(pair.request));
  POCKET_ASSIGN_OR_RETURN(pair.response, ipc::create_region("pocket-response", *response));
  return pair;
}

Result<ChannelParts> create_channel(uint64_t request_bytes, uint64_t response_bytes) {
  ChannelParts parts;
  POCKET_ASSIGN_OR_RETURN(parts.regions, create_regions(request_bytes, response_bytes));
  POCKET_ASSIGN_OR_RETURN(auto request_header, write_header<wire::RequestHeader>(
                                                   parts.regions.request, wire::kRequestMagic));
  POCKET_ASSIGN_OR_RETURN(parts.response_header, write_header<wire::ResponseHeader>(
                                                     parts.regions.response, wire::kResponseMagic));
  // Until the runner says otherwise it sleeps: the first submission must ring.
  reinterpret_cast<wire::ResponseHeader*>(parts.response_header.data())->runner_parked.store(1);
  POCKET_ASSIGN_OR_RETURN(parts.doorbell, ipc::create_doorbell());
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return errno_error("socketpair", errno);
  }
  parts.notify_client.reset(ends[0]);
  parts.notify_runner.reset(ends[1]);
  ipc::keep_from_receiving(parts.notify_runner.get());
  return parts;
}

void mark_broken(const Mapping& response_header) {
  if (!response_header.valid()) return;
  auto* header = reinterpret_cast<wire::ResponseHeader*>(response_header.data());
  header->state.store(wire::kChannelBroken, std::memory_order_seq_cst);
  header->completed_word.fetch_add(1, std::memory_order_seq_cst);
  ipc::futex_wake_all(&header->completed_word);
}

}  // namespace pocket::daemon
