"""Signals: from a raw recording to atoms, their activations and what they follow."""


rule import_signal:
    input:
        unpack(named_inputs("import_signal")),
    output:
        "results/{sample}/import_signal/manifest.json",
    log:
        "logs/{sample}/import_signal.log",
    benchmark:
        "benchmarks/{sample}/import_signal.tsv"
    threads: 1
    params:
        settings=settings_digest("import_signal"),
    message:
        "import-signal {wildcards.sample}"
    shell:
        "triptych step import-signal"
        " --out results/{wildcards.sample}/import_signal --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule choose_atoms:
    input:
        unpack(named_inputs("choose_atoms")),
    output:
        "results/{sample}/choose_atoms/manifest.json",
    log:
        "logs/{sample}/choose_atoms.log",
    benchmark:
        "benchmarks/{sample}/choose_atoms.tsv"
    threads: 1
    params:
        settings=settings_digest("choose_atoms"),
    message:
        "choose-atoms {wildcards.sample}"
    shell:
        "triptych step choose-atoms --signal {input.signal:q}"
        " --out results/{wildcards.sample}/choose_atoms --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule learn_atoms:
    input:
        unpack(named_inputs("learn_atoms")),
    output:
        "results/{sample}/learn_atoms/manifest.json",
    log:
        "logs/{sample}/learn_atoms.log",
    benchmark:
        "benchmarks/{sample}/learn_atoms.tsv"
    threads: 1
    params:
        settings=settings_digest("learn_atoms"),
    message:
        "learn-atoms {wildcards.sample}"
    shell:
        "triptych step learn-atoms --signal {input.signal:q}"
        " --out results/{wildcards.sample}/learn_atoms --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule encode_signal:
    input:
        unpack(named_inputs("encode_signal")),
    output:
        "results/{sample}/encode_signal/manifest.json",
    log:
        "logs/{sample}/encode_signal.log",
    benchmark:
        "benchmarks/{sample}/encode_signal.tsv"
    threads: 1
    params:
        settings=settings_digest("encode_signal"),
    message:
        "encode-signal {wildcards.sample}"
    shell:
        "triptych step encode-signal --signal {input.signal:q} --dictionary {input.dictionary:q}"
        " --out results/{wildcards.sample}/encode_signal --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule link_events:
    input:
        unpack(named_inputs("link_events")),
    output:
        "results/{sample}/link_events/manifest.json",
    log:
        "logs/{sample}/link_events.log",
    benchmark:
        "benchmarks/{sample}/link_events.tsv"
    threads: 1
    params:
        settings=settings_digest("link_events"),
    message:
        "link-events {wildcards.sample}"
    shell:
        "triptych step link-events --activations {input.activations:q} --events {input.events:q} --signal {input.signal:q}"
        " --out results/{wildcards.sample}/link_events --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule describe_atoms:
    input:
        unpack(named_inputs("describe_atoms")),
    output:
        "results/{sample}/describe_atoms/manifest.json",
    log:
        "logs/{sample}/describe_atoms.log",
    benchmark:
        "benchmarks/{sample}/describe_atoms.tsv"
    threads: 1
    params:
        settings=settings_digest("describe_atoms"),
    message:
        "describe-atoms {wildcards.sample}"
    shell:
        "triptych step describe-atoms --dictionary {input.dictionary:q} --activations {input.activations:q} --signal {input.signal:q}"
        " --out results/{wildcards.sample}/describe_atoms --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"
