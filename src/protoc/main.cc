// protoc-gen-pocket: protoc --pocket_out=DIR interface.proto
#include <google/protobuf/compiler/plugin.h>

#include "protoc/generator.h"

int main(int argc, char** argv) {
  const pocket::protoc::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
