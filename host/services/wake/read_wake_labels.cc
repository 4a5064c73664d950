#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <exception>

#include "host/services/wake/backends/docker_api.h"
#include "host/services/wake/wake_labels.h"

namespace nsrun {
namespace {

Task<Result<docker::Description>> describe(const DockerApi& api, const std::string& id) {
  const std::string doing = "cannot read the labels of container " + id;
  const auto answer = co_await api.inspect(id, doing);
  if (!answer) co_return answer.error();
  if (answer->status != 200) co_return refused_by_api(doing, *answer);
  co_return docker::parse_description(answer->body);
}

Task<Result<std::vector<docker::Description>>> containers_of(const DockerApi& api,
                                                             const LabelledGroup& group) {
  const auto ids = co_await api.list(group.spec.labels);
  if (!ids) co_return ids.error();
  std::vector<docker::Description> all;
  for (const auto& id : *ids) {
    auto one = co_await describe(api, id);
    if (!one) co_return one.error();
    all.push_back(std::move(*one));
  }
  co_return std::move(all);
}

Task<Result<std::vector<WakeSpec>>> read(const DockerApi& api, const std::string& docker,
                                         const std::string& container) {
  const auto own = co_await describe(api, container);
  if (!own) co_return own.error();
  auto groups = parse_wake_labels(own->labels, docker);
  if (!groups) co_return groups.error();
  GroupContainers containers;
  for (const auto& group : *groups) {
    auto members = co_await containers_of(api, group);
    if (!members) co_return members.error();
    containers.push_back(std::move(*members));
  }
  co_return with_forwards(std::move(*groups), containers);
}

}  // namespace

Result<std::vector<WakeSpec>> read_wake_labels(const std::string& docker, const std::string& container) {
  const auto where = docker_endpoint(docker, std::getenv("DOCKER_HOST"));
  if (!where) return where.error();
  asio::io_context context(1);
  const auto api = DockerApi::make(*where, context.get_executor());
  if (!api) return api.error();
  std::optional<Result<std::vector<WakeSpec>>> specs;
  std::exception_ptr failure;
  const auto body = [](const DockerApi& of, const std::string& url, const std::string& whose,
                       std::optional<Result<std::vector<WakeSpec>>>& into) -> Task<> {
    into = co_await read(of, url, whose);
  };
  asio::co_spawn(context, body(*api, docker, container, specs),
                 [&failure](std::exception_ptr thrown) { failure = thrown; });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return std::move(*specs);
}

}  // namespace nsrun
