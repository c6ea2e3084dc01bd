// What outlives one pocketd and is used by the next.
#pragma once

#include "daemon/keeper.h"
#include "daemon/state.h"

namespace pocket::daemon {

/// Made by main before anything else; outlives the service. Loop's thread only.
struct Survival {
  Keeper keeper;
  State state;
};

}  // namespace pocket::daemon
