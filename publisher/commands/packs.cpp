#include <string>
#include <utility>
#include <vector>

#include "publisher/broker/pack_view.hpp"
#include "publisher/broker/pages.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher::packs_command {
namespace {

struct Options {
  ConnectionOptions connection;
  std::vector<std::string> packs;
  std::string unused = "1h";
  bool dry_run = false;
};

// The rows of all packs; `bytes`: of those that stay.
Outcome<Json> all_packs(Session& session, std::uint64_t& bytes) {
  Json rows = Json::array();
  INSTAR_TRY(const auto last, for_each_row(session, "listPacks", "packs", Json::object(),
                                           [&](const Json& row) { rows.push_back(row); }));
  bytes = get_number(last, "bytes");
  return rows;
}

Outcome<Exit> list(const Options& options, const Console& console) {
  INSTAR_TRY(const auto session, connect(options.connection));
  std::uint64_t bytes = 0;
  INSTAR_TRY(auto rows, all_packs(*session, bytes));
  console.text() << packs_text(rows, bytes, wall_now());
  console.document({{"bytes", bytes}, {"packs", std::move(rows)}});
  return Exit::ok;
}

Outcome<Exit> remove(const Options& options, const Console& console) {
  INSTAR_TRY(const auto session, connect(options.connection));
  std::uint64_t bytes = 0;
  INSTAR_TRY(const auto rows, all_packs(*session, bytes));
  // All of them are found before the first one goes.
  std::vector<std::string> packs;
  for (const auto& name : options.packs) {
    INSTAR_TRY(auto pack, find_pack(rows, name));
    packs.push_back(std::move(pack));
  }
  Json removed = Json::array();
  for (const auto& pack : packs) {
    INSTAR_TRY(const auto data, session->request("removePack", {{"pack", pack}}));
    console.text() << "pack " << pack.substr(0, 16) << " (" << human_bytes(get_number(data, "bytes"))
                   << ") serves nobody any more, and is being deleted\n";
    removed.push_back(pack);
  }
  console.document({{"removed", std::move(removed)}});
  return Exit::ok;
}

// In steps: the broker marks so many at a time that its other work goes on.
Outcome<Exit> prune(const Options& options, const Console& console) {
  INSTAR_TRY(const auto unused_ms, parse_duration_ms(options.unused));
  INSTAR_TRY(const auto session, connect(options.connection));
  std::uint64_t removed = 0;
  std::uint64_t bytes = 0;
  for (bool more = true; more;) {
    INSTAR_TRY(const auto data,
               session->request("prunePacks", {{"unused_s", (unused_ms + 999) / 1'000}, {"dry_run", options.dry_run}}));
    removed += get_number(data, "removed");
    bytes += get_number(data, "bytes");
    more = get_flag(data, "more") && !options.dry_run;
  }
  console.text() << count_of(removed, "pack") << " that nothing needs (" << human_bytes(bytes) << ")"
                 << (options.dry_run ? " would be deleted\n" : ": being deleted\n");
  console.document({{"removed", removed}, {"bytes", bytes}, {"dry_run", options.dry_run}});
  return Exit::ok;
}

}  // namespace

void add(CLI::App& app, Context& context) {
  auto* packs = app.add_subcommand("packs", "See the packs that the broker holds, and remove those that nothing needs");
  packs->require_subcommand(1);
  const auto add_one = [&](const char* name, const char* help, auto run) {
    auto* command = packs->add_subcommand(name, help);
    const auto options = std::make_shared<Options>();
    add_json(*command, context);
    add_connection(*command, options->connection);
    command->callback([options, run, &context] {
      context.run = [options, run, &context] { return run(*options, context.console); };
    });
    return std::pair(command, options);
  };
  add_one("list", "All packs: size, artifact, kind, and who needs them", list);
  const auto [removal, named] = add_one("remove",
                                        "Remove packs from the broker.\n"
                                        "One that a rollout in force needs is refused: abort the rollout first.",
                                        remove);
  removal->add_option("PACK", named->packs, "Ids, or the first digits of each")->required();
  const auto [pruning, bounds] =
      add_one("prune",
              "Remove all packs that nothing needs.\n"
              "A rollout in force needs its packs, and a device those of what it runs and of "
              "what it ran before.",
              prune);
  pruning->add_option("--unused", bounds->unused, "Only those that were neither uploaded nor served for so long")
      ->type_name("TIME")
      ->capture_default_str();
  pruning->add_flag("--dry-run", bounds->dry_run, "Only say what would go");
}

}  // namespace instar::publisher::packs_command
