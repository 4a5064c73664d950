#include "host/flow/pipe_pool.h"

#include <fcntl.h>

#include "runtime/pipe.h"

namespace nsrun {
namespace {

constexpr int wanted_size = 1 << 20;            // bytes; the kernel's default limit for users (pipe(7))
constexpr int min_size = 256 << 10;             // bytes; with smaller ones splicing is no faster than copying
constexpr unsigned turns_after_refusal = 64;    // of all flows; then the kernel is asked again
constexpr std::size_t pool_buffer = 256 << 10;  // bytes; larger ones leave the cache

std::optional<Pipe> make_large_pipe() {
  auto ends = make_pipe({}, O_NONBLOCK);
  if (!ends) return std::nullopt;
  Pipe pipe{std::move(ends->reading), std::move(ends->writing)};
  int size = ::fcntl(pipe.write.get(), F_SETPIPE_SZ, wanted_size);
  if (size < 0) size = ::fcntl(pipe.write.get(), F_SETPIPE_SZ, min_size);
  if (size < 0) return std::nullopt;
  pipe.size = static_cast<std::size_t>(size);
  return pipe;
}

}  // namespace

PipeLease::PipeLease(PipePool& pool) : pool_(pool), pipe_(pool.lend()) {}

PipeLease::~PipeLease() {
  if (pipe_) pool_.give_back(std::move(*pipe_), filled == 0);
}

std::optional<Pipe> PipePool::lend() {
  if (lent_ >= max_lent) return std::nullopt;
  std::optional<Pipe> pipe;
  if (!free_.empty()) {
    pipe = std::move(free_.back());
    free_.pop_back();
  } else if (not_tried_ > 0) {
    --not_tried_;
  } else {
    pipe = make_large_pipe();
    if (!pipe) not_tried_ = turns_after_refusal;
  }
  if (pipe) ++lent_;
  return pipe;
}

void PipePool::give_back(Pipe pipe, bool is_empty) {
  --lent_;
  if (is_empty && free_.size() < max_kept) free_.push_back(std::move(pipe));
}

MutableBytes PipePool::buffer() {
  if (buffer_.empty()) buffer_.resize(pool_buffer);
  return buffer_;
}

}  // namespace nsrun
