"""What all kinds share: one scaling, small measures, distances, analysis, the report."""


rule scale_features:
    input:
        unpack(named_inputs("scale_features")),
    output:
        "results/cohort/{kind}/scale_features/manifest.json",
    log:
        "logs/cohort/{kind}/scale_features.log",
    benchmark:
        "benchmarks/cohort/{kind}/scale_features.tsv"
    threads: 1
    params:
        settings=settings_digest("scale_features"),
    message:
        "scale-features {wildcards.kind}"
    shell:
        "triptych step scale-features --inputs-from .triptych/inputs/{wildcards.kind}/scale_features.tsv"
        " --out results/cohort/{wildcards.kind}/scale_features --config {CONFIG} --kind {wildcards.kind} --expect {params.settings} --workers {threads} 2> {log:q}"


rule quantize_cloud:
    input:
        unpack(named_inputs("quantize_cloud")),
    output:
        "results/{sample}/quantize_cloud/manifest.json",
    log:
        "logs/{sample}/quantize_cloud.log",
    benchmark:
        "benchmarks/{sample}/quantize_cloud.tsv"
    threads: 1
    params:
        settings=settings_digest("quantize_cloud"),
    message:
        "quantize-cloud {wildcards.sample}"
    shell:
        "triptych step quantize-cloud --cloud {input.cloud:q}"
        " --out results/{wildcards.sample}/quantize_cloud --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule quantize_cohort:
    input:
        unpack(named_inputs("quantize_cohort")),
    output:
        "results/cohort/{kind}/quantize_cohort/manifest.json",
    log:
        "logs/cohort/{kind}/quantize_cohort.log",
    benchmark:
        "benchmarks/cohort/{kind}/quantize_cohort.tsv"
    threads: 1
    params:
        settings=settings_digest("quantize_cohort"),
    message:
        "quantize-cohort {wildcards.kind}"
    shell:
        "triptych step quantize-cohort --inputs-from .triptych/inputs/{wildcards.kind}/quantize_cohort.tsv"
        " --out results/cohort/{wildcards.kind}/quantize_cohort --config {CONFIG} --kind {wildcards.kind} --expect {params.settings} --workers {threads} 2> {log:q}"


rule learn_cohort_atoms:
    input:
        unpack(named_inputs("learn_cohort_atoms")),
    output:
        "results/cohort/{kind}/learn_cohort_atoms/manifest.json",
    log:
        "logs/cohort/{kind}/learn_cohort_atoms.log",
    benchmark:
        "benchmarks/cohort/{kind}/learn_cohort_atoms.tsv"
    threads: 1
    params:
        settings=settings_digest("learn_cohort_atoms"),
    message:
        "learn-cohort-atoms {wildcards.kind}"
    shell:
        "triptych step learn-cohort-atoms --inputs-from .triptych/inputs/{wildcards.kind}/learn_cohort_atoms.tsv"
        " --out results/cohort/{wildcards.kind}/learn_cohort_atoms --config {CONFIG} --kind {wildcards.kind} --expect {params.settings} --workers {threads} 2> {log:q}"


rule compare_samples:
    input:
        unpack(named_inputs("compare_samples")),
    output:
        "results/cohort/{kind}/compare_samples/manifest.json",
    log:
        "logs/cohort/{kind}/compare_samples.log",
    benchmark:
        "benchmarks/cohort/{kind}/compare_samples.tsv"
    threads: 1
    params:
        settings=settings_digest("compare_samples"),
    message:
        "compare-samples {wildcards.kind}"
    shell:
        "triptych step compare-samples --inputs-from .triptych/inputs/{wildcards.kind}/compare_samples.tsv"
        " --out results/cohort/{wildcards.kind}/compare_samples --config {CONFIG} --kind {wildcards.kind} --expect {params.settings} --workers {threads} 2> {log:q}"


rule find_populations:
    input:
        unpack(named_inputs("find_populations")),
    output:
        "results/cohort/{kind}/find_populations/manifest.json",
    log:
        "logs/cohort/{kind}/find_populations.log",
    benchmark:
        "benchmarks/cohort/{kind}/find_populations.tsv"
    threads: 1
    params:
        settings=settings_digest("find_populations"),
    message:
        "find-populations {wildcards.kind}"
    shell:
        "triptych step find-populations --inputs-from .triptych/inputs/{wildcards.kind}/find_populations.tsv"
        " --out results/cohort/{wildcards.kind}/find_populations --config {CONFIG} --kind {wildcards.kind} --expect {params.settings} --workers {threads} 2> {log:q}"


rule analyze_features:
    input:
        unpack(named_inputs("analyze_features")),
    output:
        "results/cohort/{kind}/analyze_features/manifest.json",
    log:
        "logs/cohort/{kind}/analyze_features.log",
    benchmark:
        "benchmarks/cohort/{kind}/analyze_features.tsv"
    threads: 1
    params:
        settings=settings_digest("analyze_features"),
    message:
        "analyze-features {wildcards.kind}"
    shell:
        "triptych step analyze-features --inputs-from .triptych/inputs/{wildcards.kind}/analyze_features.tsv"
        " --out results/cohort/{wildcards.kind}/analyze_features --config {CONFIG} --kind {wildcards.kind} --expect {params.settings} --workers {threads} 2> {log:q}"


rule report:
    input:
        unpack(named_inputs("report")),
    output:
        "results/cohort/all/report/manifest.json",
    log:
        "logs/cohort/all/report.log",
    benchmark:
        "benchmarks/cohort/all/report.tsv"
    threads: 2
    params:
        settings=settings_digest("report"),
    message:
        "report"
    shell:
        "triptych step report --inputs-from .triptych/inputs/all/report.tsv"
        " --out results/cohort/all/report --config {CONFIG} --expect {params.settings} --workers {threads} --executor processes 2> {log:q}"
