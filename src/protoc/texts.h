// The texts that are generated for an interface.
#pragma once

#include <string>
#include <vector>

#include "protoc/interface.h"

namespace pocket::protoc {

/// x.client.h: a class for each service, whose functions call the handler.
std::string client_header(const std::vector<Interface>& interfaces);
/// x.handler.h: a class to derive from for each service, and what POCKET_HANDLER needs.
std::string handler_header(const std::vector<Interface>& interfaces);
/// x_pocket.py: the client in Python.
std::string python_module(const std::vector<Interface>& interfaces);

}  // namespace pocket::protoc
