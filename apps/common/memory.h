// What an app needs in memory, and giving back what it needs no more.
#pragma once

#include <nlohmann/json.hpp>

namespace pocket::apps {

/// Proportional, resident, private and greatest resident bytes of this process.
nlohmann::json memory_of_process();

/// What starting and decoding needed goes back to the system: freed heap, and code, which comes
/// back from the file page by page where it is used again.
void give_back_memory();

}  // namespace pocket::apps
