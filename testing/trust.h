#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace nsrun::testing {

using Environment = std::vector<std::pair<std::string, std::string>>;

// A folder with an authority's certificate, and the environment variables by which programs find it. The
// folder goes with the object.
class TrustFolder {
 public:
  // Throws ErrorException: the folder cannot be made.
  explicit TrustFolder(const std::string& authority_pem);
  ~TrustFolder();
  TrustFolder(const TrustFolder&) = delete;

  Environment environment() const;
  std::string authority_file() const { return folder_ / "authority.pem"; }  // our authority alone
  std::string bundle_file() const { return folder_ / "bundle.pem"; }        // whom the system trusts, too

 private:
  std::string wgetrc() const { return folder_ / "wgetrc"; }

  std::filesystem::path folder_;
};

}  // namespace nsrun::testing
