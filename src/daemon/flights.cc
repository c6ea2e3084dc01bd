#include "daemon/flights.h"

#include "daemon/channel.h"
#include "ipc/region.h"

namespace pocket::daemon {

Result<Flights> Flights::create() {
  POCKET_ASSIGN_OR_RETURN(UniqueFd memory,
                          ipc::create_region("pocket-flights", sizeof(wire::FlightBook)));
  POCKET_ASSIGN_OR_RETURN(
      Mapping mapping, Mapping::map(memory.get(), sizeof(wire::FlightBook), MapAccess::kReadWrite));
  auto* book = reinterpret_cast<wire::FlightBook*>(mapping.data());
  book->magic = wire::kFlightMagic;
  book->version = wire::kFlightVersion;
  return Flights(std::move(memory), std::move(mapping));
}

Result<UniqueFd> Flights::duplicate() const { return daemon::duplicate(memory_); }

std::vector<Flights::Entry> Flights::running() const {
  std::vector<Entry> entries;
  const auto* book = reinterpret_cast<const wire::FlightBook*>(mapping_.data());
  for (const auto& slot : book->slots) {
    if (slot.running.load() == wire::kFlightRuns) {
      entries.push_back({slot.model, slot.channel, slot.digest});
    }
  }
  return entries;
}

}  // namespace pocket::daemon
