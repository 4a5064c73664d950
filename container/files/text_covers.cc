#include "container/files/text_covers.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <utility>

#include "runtime/fd.h"

// A cover is a bind mount of a file in a tmpfs that is mounted for a moment and then detached: it lives on
// through the bind mount alone and goes with the namespace. (An O_TMPFILE will not do: the kernel refuses to
// bind a file without a name.)
//
// When somebody on the host renames another file over the covered one, the kernel takes our mount away with
// it (etc_covers.h puts those of /etc back); writing in place does no harm.

namespace nsrun {
namespace {

// Any directory that surely exists serves: nobody else is in this mount namespace yet.
constexpr auto scratch = "/dev";
constexpr auto scratch_options = "size=8m,mode=0755";

Result<void> write_file(const std::string& path, const std::string& text) {
  const UniqueFd file(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return errno_error("cannot write a copy in memory");
  return {};
}

}  // namespace

Result<TextCovers> TextCovers::open() {
  if (::mount("tmpfs", scratch, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, scratch_options) < 0)
    return errno_error("cannot mount a tmpfs in the sandbox");
  return TextCovers();
}

TextCovers::TextCovers(TextCovers&& other) noexcept
    : mounted_(std::exchange(other.mounted_, false)), files_(other.files_) {}

TextCovers::~TextCovers() {
  if (mounted_) ::umount2(scratch, MNT_DETACH);
}

Result<std::string> TextCovers::write_next(const std::string& text) {
  auto file = std::string(scratch) + "/" + std::to_string(files_++);
  if (auto written = write_file(file, text); !written) return written.error();
  return {boost::system::in_place_value, std::move(file)};
}

Result<void> TextCovers::cover(const std::string& path, const std::string& text) {
  const auto file = write_next(text);
  if (!file) return file.error();
  if (::mount(file->c_str(), path.c_str(), nullptr, MS_BIND, nullptr) < 0)
    return errno_error("cannot cover " + path);
  return {};
}

Result<void> TextCovers::cover_link(const std::string& path, const std::string& text) {
  const auto file = write_next(text);
  if (!file) return file.error();
  const UniqueFd tree(::open_tree(AT_FDCWD, file->c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree || ::move_mount(tree.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0)
    return errno_error("cannot cover " + path);
  return {};
}

}  // namespace nsrun
