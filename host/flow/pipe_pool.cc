#include "host/flow/pipe_pool.h"

#include <fcntl.h>

namespace nsrun {
namespace {

constexpr int wanted_size = 1 << 20;            // bytes; the kernel's default limit for users (pipe(7))
constexpr int least_size = 256 << 10;           // bytes; with smaller ones splicing is no faster than copying
constexpr unsigned turns_after_refusal = 64;    // of all flows; then the kernel is asked again
constexpr std::size_t buffer_size = 256 << 10;  // bytes; larger ones leave the cache

std::optional<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return std::nullopt;
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  int size = ::fcntl(ends[1], F_SETPIPE_SZ, wanted_size);
  if (size < 0) size = ::fcntl(ends[1], F_SETPIPE_SZ, least_size);
  if (size < 0) return std::nullopt;
  pipe.size = static_cast<std::size_t>(size);
  return pipe;
}

}  // namespace

LentPipe::LentPipe(PipePool& pool) : pool_(pool), pipe_(pool.lend()) {}

LentPipe::~LentPipe() {
  if (pipe_) pool_.give_back(std::move(*pipe_), filled == 0);
}

std::optional<Pipe> PipePool::lend() {
  if (lent_ >= most_lent) return std::nullopt;
  std::optional<Pipe> pipe;
  if (!free_.empty()) {
    pipe = std::move(free_.back());
    free_.pop_back();
  } else if (not_tried_ > 0) {
    --not_tried_;
  } else {
    pipe = make_pipe();
    if (!pipe) not_tried_ = turns_after_refusal;
  }
  if (pipe) ++lent_;
  return pipe;
}

void PipePool::give_back(Pipe pipe, bool is_empty) {
  --lent_;
  if (is_empty && free_.size() < most_kept) free_.push_back(std::move(pipe));
}

MutableBytes PipePool::buffer() {
  if (buffer_.empty()) buffer_.resize(buffer_size);
  return buffer_;
}

}  // namespace nsrun
