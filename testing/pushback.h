#pragma once

#include <vector>

#include "runtime/connection.h"

namespace nsrun::testing {

// A connection of which some bytes were read already: they come first.
class Pushback final : public Connection {
 public:
  Pushback(std::unique_ptr<Connection> inner, std::vector<std::byte> first)
      : inner_(std::move(inner)), first_(std::move(first)) {}

  Transport transport() const override { return inner_->transport(); }
  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override { return inner_->write(bytes); }
  void finish() override { inner_->finish(); }
  void reset() override { inner_->reset(); }

 private:
  std::unique_ptr<Connection> inner_;
  std::vector<std::byte> first_;
  std::size_t given_ = 0;  // of first_
};

}  // namespace nsrun::testing
