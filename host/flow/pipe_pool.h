#pragma once

#include <boost/asio/execution_context.hpp>
#include <optional>
#include <vector>

#include "runtime/bytes.h"
#include "runtime/fd.h"
#include "runtime/task.h"

namespace nsrun {

struct Pipe {
  UniqueFd read, write;
  std::size_t size = 0;  // bytes it holds
};

class PipePool;

// A pipe for one turn of a relay: from reading its source until all of that has reached its target.
class PipeLease {
 public:
  explicit PipeLease(PipePool& pool);
  ~PipeLease();  // back to the pool; closed if anything is left in it
  PipeLease(const PipeLease&) = delete;

  explicit operator bool() const { return pipe_.has_value(); }
  const Pipe& operator*() const { return *pipe_; }
  std::size_t filled = 0;  // bytes in it now

 private:
  PipePool& pool_;
  std::optional<Pipe> pipe_;
};

// What the relays of one loop share, so that a flow which moves nothing costs nothing: pipes, lent to flows
// while there are bytes in them, and a buffer, used between two waits. There may be no pipe to be had: all
// are lent, or the kernel gives no large ones any more (pipe-user-pages-soft in pipe(7): 64 MiB in all pipes
// of one user). Belongs to the loop (asio::use_service), and ends with it.
class PipePool final : public asio::execution_context::service {
 public:
  static inline asio::execution_context::id id;
  explicit PipePool(asio::execution_context& context) : service(context) {}

  static constexpr std::size_t max_lent = 16;  // then flows copy: slow readers hold theirs, 16 MiB at most
  static constexpr std::size_t max_kept = 4;   // free ones that stay open

  std::optional<Pipe> lend();
  void give_back(Pipe pipe, bool is_empty);
  std::size_t lent() const { return lent_; }
  MutableBytes buffer();  // whoever waits may find other bytes in it

 private:
  void shutdown() override {}

  std::vector<Pipe> free_;
  std::size_t lent_ = 0;
  unsigned not_tried_ = 0;  // how often lend() goes on without asking a kernel that refused
  std::vector<std::byte> buffer_;
};

}  // namespace nsrun
