// The plugin of protoc: from a .proto file to the texts of an interface.
#pragma once

#include <google/protobuf/compiler/code_generator.h>

#include <string>

namespace pocket::protoc {

/// Parameters, separated by commas: "client", "handler", "python"; none: all three.
class Generator : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context,
                std::string* error) const override;
  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
};

}  // namespace pocket::protoc
