"""Volumes: from a raw stack to a table of measured objects."""


rule import_volume:
    input:
        unpack(named_inputs("import_volume")),
    output:
        "results/{sample}/import_volume/manifest.json",
    log:
        "logs/{sample}/import_volume.log",
    benchmark:
        "benchmarks/{sample}/import_volume.tsv"
    threads: 2
    params:
        settings=settings_digest("import_volume"),
    message:
        "import-volume {wildcards.sample}"
    shell:
        "triptych step import-volume"
        " --out results/{wildcards.sample}/import_volume --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule predict_boundaries:
    input:
        unpack(named_inputs("predict_boundaries")),
    output:
        "results/{sample}/predict_boundaries/manifest.json",
    log:
        "logs/{sample}/predict_boundaries.log",
    benchmark:
        "benchmarks/{sample}/predict_boundaries.tsv"
    threads: 2
    params:
        settings=settings_digest("predict_boundaries"),
    message:
        "predict-boundaries {wildcards.sample}"
    shell:
        "triptych step predict-boundaries --image {input.image:q}"
        " --out results/{wildcards.sample}/predict_boundaries --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule segment_volume:
    input:
        unpack(named_inputs("segment_volume")),
    output:
        "results/{sample}/segment_volume/manifest.json",
    log:
        "logs/{sample}/segment_volume.log",
    benchmark:
        "benchmarks/{sample}/segment_volume.tsv"
    threads: 2
    params:
        settings=settings_digest("segment_volume"),
    message:
        "segment-volume {wildcards.sample}"
    shell:
        "triptych step segment-volume --boundaries {input.boundaries:q}"
        " --out results/{wildcards.sample}/segment_volume --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule measure_objects:
    input:
        unpack(named_inputs("measure_objects")),
    output:
        "results/{sample}/measure_objects/manifest.json",
    log:
        "logs/{sample}/measure_objects.log",
    benchmark:
        "benchmarks/{sample}/measure_objects.tsv"
    threads: 2
    params:
        settings=settings_digest("measure_objects"),
    message:
        "measure-objects {wildcards.sample}"
    shell:
        "triptych step measure-objects --labels {input.labels:q} --image {input.image:q}"
        " --out results/{wildcards.sample}/measure_objects --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"


rule learn_textures:
    input:
        unpack(named_inputs("learn_textures")),
    output:
        "results/{sample}/learn_textures/manifest.json",
    log:
        "logs/{sample}/learn_textures.log",
    benchmark:
        "benchmarks/{sample}/learn_textures.tsv"
    threads: 2
    params:
        settings=settings_digest("learn_textures"),
    message:
        "learn-textures {wildcards.sample}"
    shell:
        "triptych step learn-textures --image {input.image:q}"
        " --out results/{wildcards.sample}/learn_textures --config {CONFIG} --sample {wildcards.sample} --expect {params.settings} --workers {threads} 2> {log:q}"
