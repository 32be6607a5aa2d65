# Sourced by i2v_dev.sh and i2v_tables.sh, after environment.sh: train a run and judge it.
# $options are what the user gave for densevos train.

product() { # product COMMAND ...: a command of the product
    "$BIN/$1" "${@:2}"
}

learn() { # learn RUN RECIPE [options]: a finished run stays
    [ -f "$1/model.safetensors" ] ||
        product densevos train "$2" "${@:3}" --out "$1" --resume auto ${options[@]+"${options[@]}"}
}

judge() { # judge RUN RESULTS --dataset SET --root ROOT [options of the set]: what was scored stays, unless the run was trained anew since
    local how=--resume
    if [ -f "$2/segment.json" ] && [ "$1/model.safetensors" -nt "$2/segment.json" ]; then
        how=--overwrite
    elif [ -f "$2/results.json" ]; then
        return
    fi
    product densevos-eval segment --model "$1" "${@:3}" --out "$2" "$how"
    local more=("${@:7}") # after --dataset SET --root ROOT, which score takes as --set SET:ROOT
    product densevos-eval score --set "$4:$6" ${more[@]+"${more[@]/#--classes/--wanted}"} --results "$2"
}
