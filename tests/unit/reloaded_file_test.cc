#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include "tests/support/catch.h"

#include "host/policy/reloaded_file.h"

using namespace nsrun;
using Catch::Contains;

namespace {

// A directory with a policy, gone at the end.
class Project {
 public:
  Project() {
    REQUIRE(::mkdtemp(path_));
    write("policy", "first");
  }
  ~Project() { std::filesystem::remove_all(path_); }
  std::string path(const std::string& name) const { return path_ + ("/" + name); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }

 private:
  char path_[32] = "/tmp/nsrun-held-XXXXXX";
};

std::string read_file(const ReloadedFile& held) {
  const auto file = held.open();
  if (!file) return file.error().message();
  char text[64];
  const auto size = ::read(file->get(), text, sizeof text);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

// As an account that is not root, whoever runs the tests.
class NotRoot {
 public:
  NotRoot() {
    if (::geteuid() == 0) changed_ = ::seteuid(65534) == 0;
  }
  ~NotRoot() {
    if (changed_) (void)!::seteuid(0);
  }

 private:
  bool changed_ = false;
};

}  // namespace

TEST_CASE("a policy file that was written in place is read again") {
  const Project project;
  const auto held = ReloadedFile::hold(project.path("policy")).value();
  CHECK(read_file(held) == "first");
  project.write("policy", "second");
  CHECK(read_file(held) == "second");
}

TEST_CASE("another file at the path of a held one is not read, however it came there") {
  const Project project;
  std::filesystem::create_directory(project.path("inner"));
  project.write("inner/policy", "first");
  project.write("other", "another");
  const auto path = project.path("inner/policy");
  const auto held = ReloadedFile::hold(path).value();
  SECTION("renamed over it") { std::filesystem::rename(project.path("other"), path); }
  SECTION("made where it was") {
    std::filesystem::remove(path);
    project.write("inner/policy", "another");
  }
  SECTION("a symbolic link to it") {
    std::filesystem::remove(path);
    std::filesystem::create_symlink(project.path("other"), path);
  }
  SECTION("in another directory of that name") {
    std::filesystem::rename(project.path("inner"), project.path("moved"));
    std::filesystem::create_directory(project.path("inner"));
    project.write("inner/policy", "another");
  }
  CHECK_THAT(read_file(held), Contains("is another file now") && Contains(path));
}

TEST_CASE("a reloaded file with a second name is not read") {
  const Project project;
  const auto held = ReloadedFile::hold(project.path("policy")).value();
  std::filesystem::create_hard_link(project.path("policy"), project.path("second"));
  CHECK_THAT(read_file(held), Contains("more than one name"));
}

TEST_CASE("a reloaded file that is gone is an error of usage") {
  const Project project;
  const auto held = ReloadedFile::hold(project.path("policy")).value();
  std::filesystem::remove(project.path("policy"));
  CHECK(held.open().error().exit == ExitCode::usage);
}

TEST_CASE("a file is root's alone only if nobody else could have put it there") {
  const NotRoot account;
  const Project project;
  std::filesystem::create_symlink("/etc/passwd", project.path("link"));
  CHECK(open_if_roots_alone("/etc/passwd"));
  CHECK(open_if_roots_alone("/etc/../etc/./passwd"));
  CHECK_FALSE(open_if_roots_alone(project.path("policy")));
  CHECK_FALSE(open_if_roots_alone(project.path("link")));
  CHECK_FALSE(open_if_roots_alone(project.path("none")));
  CHECK_FALSE(open_if_roots_alone("/tmp"));
}
