#include <optional>

#include "publisher/artifact_folder.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/progress.hpp"

namespace instar::publisher {
namespace {

Result<artifact::PackKind> parse_kind(const std::string& name) {
  for (const auto kind : {artifact::PackKind::full, artifact::PackKind::dedupe}) {
    if (name == artifact::pack_kind_name(kind)) return kind;
  }
  return fail(Code::invalid_argument, "pack kind '" + name + "' must be full or dedupe");
}

// One progress line for each stage of the work.
class Stages {
 public:
  explicit Stages(const Console& console) : console_(console) {}
  void update(const std::string& what, std::uint64_t done, std::uint64_t all) {
    const auto now = monotonic_now();
    if (what != stage_) {
      progress_.reset();
      progress_.emplace(console_.err, console_.err_is_terminal, what, now);
      stage_ = what;
    }
    progress_->update(done, all, now);
  }
  void finish() { progress_.reset(); }

 private:
  const Console& console_;
  std::string stage_;
  std::optional<Progress> progress_;
};

Outcome<Exit> run(BuildOptions options, const std::vector<std::string>& kinds, const Console& console) {
  options.kinds.clear();
  for (const auto& name : kinds) {
    INSTAR_TRY(const auto kind, parse_kind(name));
    options.kinds.push_back(kind);
  }
  Stages stages(console);
  options.progress = [&](const std::string& what, std::uint64_t done, std::uint64_t all) { stages.update(what, done, all); };
  auto folder = build_artifact(options);
  stages.finish();
  if (!folder) return fail(Failure(std::move(folder.error())));
  console.text() << artifact_text(*folder) << "\nNext: instar publish --artifact " << options.out << " …\n";
  auto json = artifact_json(*folder);
  json["folder"] = options.out;
  console.document(json);
  return Exit::ok;
}

}  // namespace

void add_pack(CLI::App& app, Context& context) {
  const auto options = std::make_shared<BuildOptions>();
  const auto kinds = std::make_shared<std::vector<std::string>>(std::vector<std::string>{"full", "dedupe"});
  auto* command = app.add_subcommand(
      "pack",
      "Make an artifact of a directory tree\n\n"
      "Reads TREE (a container's root file system: files, folders, links, owners, modes, file capabilities) and writes to "
      "OUT its index and one pack file for each kind. The same tree gives the same bytes, on any machine.");
  command->add_option("TREE", options->tree, "Directory tree to pack")->required();
  command->add_option("-o,--out", options->out, "Folder for the artifact; new, empty, or an artifact of before")
      ->required()
      ->type_name("OUT");
  command->add_option("--kinds", *kinds, "Which packs to make, by commas: full, dedupe")
      ->delimiter(',')
      ->capture_default_str()
      ->type_name("KIND");
  command->add_option("--level", options->level, "zstd level")->capture_default_str()->check(CLI::Range(1, 22))->type_name("N");
  command->add_flag("--allow-devices", options->devices_allowed,
                    "Take device nodes and fifos too; devices refuse them unless their own configuration allows it");
  add_json(*command, context);
  command->footer("Example:\n  instar pack build/rootfs -o out/web-2.4.1");
  command->callback(
      [options, kinds, &context] { context.run = [options, kinds, &context] { return run(*options, *kinds, context.console); }; });
}

}  // namespace instar::publisher
